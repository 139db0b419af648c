"""Which lines of the package the suite runs: in its own processes, and in those of the commands that it starts.

    HWR_COVERAGE=FOLDER python -m pytest             # each process leaves FOLDER/PROCESS.json
    python tests/package_coverage.py FOLDER 95       # merges them, prints a table, and fails below 95 %

slipcover puts a probe on each line while a module is imported, which costs a test almost nothing. coverage.py traces
every line of every library on Python 3.11, and makes the suite take half as long again.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hwr_jax"
ELSEWHERE = ("benchmarks/torch_peer.py", "benchmarks/torch_twin.py", "inference/export/litert_program.py")
OMIT = [str(PACKAGE / name) for name in ELSEWHERE]  # run in other Pythons, beside PyTorch and LiteRT
OPTIONS = {"omit": OMIT, "exclude_also": [r"if __name__ == .__main__.:", r"^\s*\.\.\.$"]}  # ...: of a Protocol


def start() -> None:
    """Counts the lines of hwr_jax that this process and its forks run, if HWR_COVERAGE names a folder.

    Must be called before hwr_jax is imported.
    """
    if not (folder := os.environ.get("HWR_COVERAGE")):
        return
    from slipcover import importer, slipcover

    class Loader(importer.SlipcoverLoader):
        def get_code(self, name):  # what `python -m` runs
            return self.sci.instrument(super().get_code(name))

    importer.SlipcoverLoader = Loader
    counter = slipcover.Slipcover(**OPTIONS, d_miss_threshold=-1)  # probes stay: they cost less than to take them out
    importer.ImportManager(counter, importer.FileMatcher(sources=[PACKAGE], omit=OMIT)).__enter__()
    atexit.register(_write, counter, Path(folder))
    leave = os._exit  # as some commands do

    def write_and_leave(code):
        atexit.unregister(_write)
        _write(counter, Path(folder))
        leave(code)

    os._exit = write_and_leave


def prepare() -> None:
    """Puts the probes into every module now, for processes that are forked from this one."""
    finder = next((f for f in sys.meta_path if type(f).__name__ == "SlipcoverMetaPathFinder"), None)
    if finder is None:
        return
    counter, ready = finder.sci, {}
    instrument = counter.instrument
    for path in PACKAGE.rglob("*.py"):
        if str(path) not in OMIT:
            ready[str(path)] = instrument(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))
    counter.instrument = lambda code, parent=None: ready.get(code.co_filename) or instrument(code, parent)


def _write(counter, folder: Path) -> None:
    for name, lines in counter._get_newly_seen().items():  # get_coverage() reads every source for what is left out
        counter.all_seen[name].update(lines)
    seen = {str(Path(name).resolve()): sorted(lines) for name, lines in counter.all_seen.items()}
    (folder / f"{uuid.uuid4()}.json").write_text(json.dumps({k: v for k, v in seen.items() if v}))


def main(folder: str, floor: str) -> int:
    """Prints the table of a folder of counts; returns 1 if less than `floor` percent of the lines were run."""
    from slipcover import slipcover

    seen: dict[str, set[int]] = {}
    for path in Path(folder).glob("*.json"):
        for name, lines in json.loads(path.read_text()).items():
            seen.setdefault(name, set()).update(lines)
    os.chdir(ROOT)
    counter = slipcover.Slipcover(source=[str(PACKAGE)], **OPTIONS)
    for name, lines in seen.items():
        counter.all_seen[name].update(lines)
    found = counter.get_coverage()
    slipcover.print_coverage(found, skip_covered=True, missing_width=60)
    percent = found["summary"]["percent_covered"]
    lines = found["summary"]["covered_lines"] + found["summary"]["missing_lines"]
    print(f"\ncoverage: {percent:.1f} % of {lines:,} lines")
    if percent < float(floor):
        print(f"coverage: less than the {floor} % that are asked for", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
