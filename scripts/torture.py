"""Injects faults into real runs, again and again, and counts: the reliability goals R1 to R17 and R19.

    python scripts/torture.py --results=torture.jsonl [--rows=R1,R3] [--share=0.1] [--soak_minutes=30]

    python scripts/torture.py --results=experiments/torture.jsonl --table [--check]   # the one in docs/reliability.md

Appends one JSON line per trial and skips trials that have one, so you can stop it at any time and resume. Prints a
table at the end, and exits with 1 if a trial failed. --share runs that share of each row's trials (at least one).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import readme_table
from faults import jobs, mutants, originals, overload, runs, saves, soak

from hwr_jax.cli import command


class Row(NamedTuple):
    """A goal, and the trial that tests it."""

    goal: str
    trial: Callable[[int, np.random.Generator, Path], str]
    full: int  # number of trials


ROWS = {
    "R1": Row("crash-safe saves", saves.killed_while_saving, 65),
    "R2": Row("corruption is never silent", saves.corrupted, 1000),
    "R3": Row("exact resume", runs.killed, len(runs.KILLED)),
    "R4": Row("preemption", runs.terminated, 40),
    "R5": Row("failure of a peer", jobs.peer_fails, 30),
    "R6": Row("no endless hang", jobs.hangs, 12),
    "R7": Row("equal on all devices", jobs.layouts, len(jobs.LAID_OUT)),
    "R8": Row("repeatable", runs.repeated, len(runs.REPEATED)),
    "R9": Row("elastic restore", saves.elastic, 14),
    "R10": Row("storage errors", saves.storage, 10),
    "R11": Row("clean exit", saves.clean_exit, 6),
    "R12": Row("not finite", runs.not_finite, 9),
    "R13": Row("bad data", originals.bad_data, 28),
    "R14": Row("at the same time", runs.at_the_same_time, 3),
    "R15": Row("ranks agree", jobs.different, 6),
    "R16": Row("hostile pictures", mutants.hostile_pictures, mutants.TRIALS),
    "R17": Row("overload", overload.overloaded, 12),
    "R19": Row("soak", soak.soak, 1),
}


def attempt(name: str, trial: int, scratch: Path) -> dict:
    """Runs one trial; returns its line."""
    folder = scratch / name / str(trial)
    folder.mkdir(parents=True)
    rng = np.random.Generator(np.random.PCG64([int(name[1:]), trial]))
    start = time.monotonic()
    try:
        ok, detail = True, ROWS[name].trial(trial, rng, folder)
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) else traceback.format_exc()
        ok, detail = False, f"{type(error).__name__}: {error} {kind}"[:2000]
    return {"row": name, "trial": trial, "ok": ok, "detail": detail, "seconds": round(time.monotonic() - start, 1)}


def table(lines: list[dict]) -> str:
    """Returns the table of the counts of each row."""
    text = [f"{'row':<5}{'goal':<30}{'trials':>7}{'passed':>8}{'failed':>8}"]
    for name, row in ROWS.items():
        of_row = [line for line in lines if line["row"] == name]
        if of_row:
            passed = sum(line["ok"] for line in of_row)
            text.append(f"{name:<5}{row.goal:<30}{len(of_row):>7}{passed:>8}{len(of_row) - passed:>8}")
    return "\n".join(text)


def markdown(lines: list[dict]) -> list[str]:
    """Returns the counts as lines of a Markdown table, with a description of each row's trials."""
    text = ["| row | goal | what is done | trials | passed |", "|---|---|---|---|---|"]
    for name, row in ROWS.items():
        of_row = [line for line in lines if line["row"] == name]
        what = " ".join((row.trial.__doc__ or "").split()).partition(": ")[2]
        text.append(f"| {name} | {row.goal} | {what} | {len(of_row)} | {sum(line['ok'] for line in of_row)} |")
    return text


def main() -> int:
    """Runs the trials that are left; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--soak_minutes", type=float, default=30.0)
    parser.add_argument("--table", action="store_true", help="only write the results into docs/reliability.md")
    parser.add_argument("--check", action="store_true", help="with --table: change nothing; exit with 1 if outdated")
    args = parser.parse_args()
    soak.minutes = args.soak_minutes
    sys.unraisablehook = command.leave_out_echoes
    unknown = set(args.rows.split(",")) - ROWS.keys()
    if unknown:
        parser.error(f"--rows={','.join(sorted(unknown))} is not known: use some of {', '.join(ROWS)}")
    lines = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.exists() else []
    if args.table:
        page = ROOT / "docs" / "reliability.md"
        return readme_table.put("torture", Path(__file__).name, markdown(lines), check=args.check, page=page)
    done = {(line["row"], line["trial"]) for line in lines}
    with tempfile.TemporaryDirectory(prefix="hwr_jax-torture-") as scratch:
        for name in args.rows.split(","):
            for trial in range(math.ceil(ROWS[name].full * args.share)):
                if (name, trial) in done:
                    continue
                line = attempt(name, trial, Path(scratch))
                lines.append(line)
                with args.results.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{name} {trial}: {'passed' if line['ok'] else 'FAILED'}: {line['detail']}", flush=True)
    print(table(lines))
    return 0 if all(line["ok"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
