"""Trains every row of the table in docs/results.md again, and compares each with what is recorded.

    python scripts/reproduce.py                     # all rows, the shortest first: about two hours on two cores
    python scripts/reproduce.py --only=cnn,fast     # these rows
    python scripts/reproduce.py --write             # and replace their records, and the table

A row is experiments/results/NAME/summary.json: configs/NAME.py with the same seeds. Its run folder is RUNS/NAME: run
the same command again to resume an interrupted row; a finished one is not trained again. Each row ends as one of

    same bits              the final states of all seeds have the recorded SHA-256
    within the interval    the mean test accuracy lies in the recorded 95 % interval
    outside                it does not; the difference of the means and its 95 % interval (Welch) say by how much

Exit code: 0, 1 if a row is outside, else that of the first row whose run failed.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import results_table
from scipy import stats

from hwr_jax.core import errors, files

ROOT = Path(__file__).resolve().parent.parent
SAME, WITHIN, OUTSIDE = "same bits", "within the interval", "outside"


class Verdict(NamedTuple):
    """How a row compares with its record."""

    name: str
    verdict: str  # SAME, WITHIN or OUTSIDE
    recorded: dict  # the test accuracy in the record: mean, std, ci95, per_seed
    found: dict  # the test accuracy now
    difference: float  # of the means, now minus recorded
    ci95: tuple[float, float]  # of the difference, by Welch
    changed: list[str]  # facts of the runs that differ, such as "epochs: 6 -> 5"


def compare(name: str, recorded: dict, found: dict) -> Verdict:
    """Compares two summary.json of the same config.

    Args:
      name: of the row.
      recorded, found: contents of summary.json, with at least two seeds each.
    """
    facts = ("dataset", "dataset_sha256", "seeds", "epochs", "parameters", "checkpoint")
    changed = [f"{k}: {recorded.get(k)} -> {found.get(k)}" for k in facts if recorded.get(k) != found.get(k)]
    old, new = (summary["test"]["accuracy"] for summary in (recorded, found))
    if recorded.get("state_sha256") and recorded["state_sha256"] == found.get("state_sha256"):
        verdict = SAME
    else:
        verdict = WITHIN if old["ci95"][0] <= new["mean"] <= old["ci95"][1] else OUTSIDE
    difference = new["mean"] - old["mean"]
    return Verdict(name, verdict, old, new, difference, _welch(old["per_seed"], new["per_seed"]), changed)


def _welch(old: list[float], new: list[float]) -> tuple[float, float]:
    """Welch's 95 % interval of the difference of two means; a point where neither sample varies."""
    if np.std(old) == np.std(new) == 0:
        difference = float(np.mean(new) - np.mean(old))
        return difference, difference
    interval = stats.ttest_ind(new, old, equal_var=False).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def sentence(row: Verdict) -> str:
    """Returns one line on a row."""
    low, high = row.recorded["ci95"]
    text = (
        f"{row.name}: {row.verdict}: {100 * row.found['mean']:.3f} %, recorded {100 * row.recorded['mean']:.3f} % "
        f"({100 * low:.3f} to {100 * high:.3f})"
    )
    if row.verdict != SAME:
        low, high = row.ci95
        text += f"; difference {100 * row.difference:+.3f} points ({100 * low:+.3f} to {100 * high:+.3f})"
    return text + "".join(f"; {change}" for change in row.changed)


def names(only: str, results: Path) -> list[str]:
    """Returns the rows to train, the one with the fewest recorded seconds first.

    Raises:
      SystemExit: `only` names a row that has no record.
    """
    seconds = {path.parent.name: files.read_json(path)["train_seconds"] for path in results.glob("*/summary.json")}
    asked = only.split(",") if only else list(seconds)
    for name in asked:
        if name not in seconds:
            raise SystemExit(f"--only={only}: {name!r} has no record in {results}: use {', '.join(sorted(seconds))}")
    return sorted(asked, key=seconds.__getitem__)


def train(name: str, seeds: list[int], workdir: Path, flags: list[str]) -> int:
    """Trains or resumes a row's config in `workdir`; returns the main job's exit code."""
    command = [sys.executable, "-m", "hwr_jax.main", f"--config=configs/{name}.py", f"--workdir={workdir}"]
    options = [f"--config.seed={seeds[0]}", f"--config.seeds={len(seeds)}", "--config.data.fallback=none"]
    return subprocess.run([*command, *options, *flags], cwd=ROOT, stdout=sys.stderr).returncode


def main() -> int:
    """Trains, compares and reports; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows, separated by commas; default: all")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "reproduce", help="folder of the run folders")
    parser.add_argument("--results", type=Path, default=results_table.RESULTS, help="folder of the records")
    parser.add_argument("--write", action="store_true", help="replace the records and the tables of results")
    parser.add_argument("flags", nargs="*", help="further flags of hwr_jax.main, after --")
    args = parser.parse_args()
    worst = 0
    for name in names(args.only, args.results):
        record, workdir = args.results / name / "summary.json", (args.runs / name).resolve()
        recorded = files.read_json(record)
        code = train(name, recorded["seeds"], workdir, args.flags)
        if code in (errors.INTERRUPTED, errors.TERMINATED):  # the row's state is saved
            return code
        if code:
            print(f"{name}: failed with exit code {code}", flush=True)
            worst = worst if worst > 1 else code
            continue
        row = compare(name, recorded, files.read_json(workdir / "summary.json"))
        print(sentence(row), flush=True)
        worst = max(worst, int(row.verdict == OUTSIDE))
        if args.write:
            shutil.copyfile(workdir / "summary.json", record)
    if args.write and args.results == results_table.RESULTS:
        results_table.write(check=False)
    return worst


if __name__ == "__main__":
    sys.exit(main())
