"""Gives hostile files to what reads pictures, and counts what becomes of them: reliability goal R16.

    python scripts/hostile_pictures.py --mutations=20000 [--first=0] [--failures=FOLDER]
    python scripts/hostile_pictures.py --files                # the three hundred files of faults/hostile.py
    python scripts/hostile_pictures.py --nastiest             # pictures of 12 Mpx that are all marks: 20 s

Every file must end as pages or as one sentence, within 10 s of one core for a page, and 1.5 GiB. Files are read in
processes of a few hundred; one that crashes or hangs counts as a failure, is saved with its number, and the next
process reads the others. Exits with 1 if there was a failure.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import itertools
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import numpy as np
from faults import hostile, mutants

from hwr_jax.inference import packaged, scan

WORDS = ("read", "blank", "refused", "FAILED")


def main() -> int:
    """Reads what the flags name; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=0, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant or file")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--nastiest", action="store_true")
    parser.add_argument("--failures", type=Path, help="folder for the files that failed")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return _work(args)
    if args.nastiest:
        return _time_nastiest()
    lines = list(_all(args))
    print(_table(lines, "" if args.files else "format"))
    failed = [line for line in lines if line["word"] == "FAILED"]
    for line in failed:
        print(f"FAILED {line['number']} ({line['kind']!r}): {line['detail']}")
        if args.failures:
            args.failures.mkdir(parents=True, exist_ok=True)
            _, content = next(_chosen(args.files, line["number"], 1))
            (args.failures / str(line["number"])).write_bytes(content)
    return 1 if failed else 0


def _chosen(files: bool, first: int, count: int) -> Iterator[tuple[str, bytes]]:
    """The names of files, or the formats of mutants, and their contents."""
    if files:
        return itertools.islice(hostile.files(), first, first + count)
    return (mutants.mutant(number) for number in range(first, first + count))


def _all(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields a line for each file, from one process after the other."""
    at, end = args.first, args.first + args.mutations
    if args.files:
        end = sum(1 for _ in hostile.files())
    while at < end:
        flags = [f"--first={at}", f"--mutations={min(mutants.AT_ONCE, end - at)}", *(["--files"] if args.files else [])]
        pipe = subprocess.PIPE
        worker = subprocess.Popen([sys.executable, __file__, "--worker", *flags], stdout=pipe, stderr=pipe, text=True)
        with worker:
            began, stacks = None, ""
            for text in worker.stdout or ():
                line = json.loads(text)
                began = line if line["word"] == "began" else None
                if not began:
                    at += 1
                    yield line
            stacks = worker.stderr.read() if worker.stderr else ""
        if began:
            at += 1
            what = "hung" if "Timeout" in stacks else f"the process ended with {worker.returncode}"
            yield began | {"word": "FAILED", "detail": f"{what}: {' '.join(stacks.split())[-600:]}"}
        elif worker.returncode:
            raise RuntimeError(stacks)


def _work(args: argparse.Namespace) -> int:
    """Reads files, and prints a line of JSON before and after each."""
    model, stacks = packaged.model(), os.fdopen(os.dup(2), "w")  # standard error is silenced at times

    def began() -> None:
        faulthandler.dump_traceback_later(mutants.HANG_S, exit=True, file=stacks)

    for number, (kind, content) in enumerate(_chosen(args.files, args.first, args.mutations), args.first):
        line: dict[str, Any] = {"number": number, "kind": kind, "word": "began"}
        print(json.dumps(line), flush=True)
        try:
            found = mutants.outcome(model, content, began)
            line |= {"word": found.word, "seconds": found.seconds, "sentences": found.sentences}
            if found.seconds > mutants.LIMIT_S:
                line |= {"word": "FAILED", "detail": f"{found.seconds:.1f} s for a page"}
        except Exception as error:
            line |= {"word": "FAILED", "detail": f"{error!r} {' '.join(traceback.format_exc().split())[-800:]}"}
        faulthandler.cancel_dump_traceback_later()
        line["peak"] = peak = _peak()
        if peak > mutants.LIMIT_BYTES:
            line |= {"word": "FAILED", "detail": f"{peak:,} bytes"}
        print(json.dumps(line), flush=True)
        if peak > mutants.LIMIT_BYTES:
            break  # it would be the peak of all others, too
    return 0


def _peak() -> int:
    """The most memory that this process, or one that it has ended, has had: bytes, resident."""
    import resource

    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _time_nastiest() -> int:
    model, slowest = packaged.model(), 0.0
    scan.read_grey(model, np.asarray(hostile.digits()))  # imports what it needs
    for name, draw in hostile.nastiest():
        grey = draw()
        start = mutants.cpu_seconds()
        page = scan.read_grey(model, grey)
        took = mutants.cpu_seconds() - start
        slowest = max(slowest, took)
        print(f"{name:<16}{took:6.2f} s  {len(page.digits)} digits  {page.skipped} {page.notes}", flush=True)
    print(f"slowest: {slowest:.2f} s of one core; peak: {_peak() / 2**20:.0f} MiB")
    return int(slowest > 2 * mutants.LIMIT_S or _peak() > mutants.LIMIT_BYTES)


def _table(lines: list[dict[str, Any]], by: str) -> str:
    """The counts of each outcome, `by` format or all together; the slowest page, and the peak of memory."""
    counts = collections.Counter((line["kind"], line["word"]) for line in lines)
    kinds = sorted({line["kind"] for line in lines}) if by else []
    text = [f"{by:<16}" + "".join(f"{word:>9}" for word in WORDS)]
    text += [f"{kind:<16}" + "".join(f"{counts[kind, word]:>9}" for word in WORDS) for kind in kinds]
    whole = collections.Counter(line["word"] for line in lines)
    text.append(f"{'all':<16}" + "".join(f"{whole[word]:>9}" for word in WORDS))
    slowest = max(lines, key=lambda line: line.get("seconds", 0.0))
    took = f"{slowest.get('seconds', 0.0):.2f} s of one core ({slowest['kind']!r}, number {slowest['number']})"
    return "\n".join([*text, f"slowest: {took}; peak: {max(line.get('peak', 0) for line in lines) / 2**20:.0f} MiB"])


if __name__ == "__main__":
    sys.exit(main())
