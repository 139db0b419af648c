"""Compares the cost of a study with that of its trials as single runs: seconds inside the steps, and of compiling.

    python scripts/study_cost.py [--study=experiments/schedules/study.py] [--seeds=10]

A turn trains one seed of every variant, by the study and by the main job in a process each; they alternate in going
first. Both time their own steps, and use the cache of compiled programs. The seconds of compiling are those of the
first turn: a study compiles once, whatever the number of seeds. Prints a line of JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hwr_jax.core import files
from hwr_jax.studies import results, spec

ROOT = Path(__file__).resolve().parent.parent


def call(*words: object) -> None:
    """Runs a command of hwr_jax, and shows its output only if it fails."""
    done = subprocess.run([sys.executable, "-m", *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def by_study(study: spec.Study, turn: int, folder: Path) -> tuple[float, float]:
    """Returns the seconds inside the steps and of compiling when the study trains one more seed."""
    call("hwr_jax.study", f"--study={study.path}", f"--out={folder / 'study'}", f"--seeds={turn + 1}")
    records = files.read_json_lines(folder / "study" / results.FILE)[-len(study.variants) :]
    return sum(r["train_seconds"] for r in records), sum(r["compile_seconds"] for r in records)


def by_main(study: spec.Study, turn: int, folder: Path) -> tuple[float, float]:
    """Returns the same for the main job."""
    steps = compiling = 0.0
    for name, config in study.configs.items():
        workdir = folder / f"{name}-{turn}"
        call(
            "hwr_jax.main",
            f"--config={study.path}:{name}",
            f"--config.seed={config.seed + turn}",
            f"--workdir={workdir}",
        )
        summary = json.loads((workdir / "summary.json").read_text())
        steps += summary["train_seconds"]
        compiling += summary["compile_seconds"]
    return steps, compiling


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="experiments/schedules/study.py")
    parser.add_argument("--seeds", type=int, default=10)
    flags = parser.parse_args()
    study = spec.load(flags.study)
    turns = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for turn in range(flags.seeds):
            both = [by_study, by_main] if turn % 2 else [by_main, by_study]
            found = {measure.__name__: measure(study, turn, folder) for measure in both}
            turns.append(found)
            print(json.dumps(found), file=sys.stderr, flush=True)
    ratios = [found["by_study"][0] / found["by_main"][0] for found in turns]
    sums = {f"{name}_steps_seconds": round(sum(t[name][0] for t in turns), 1) for name in turns[0]}
    compiling = {f"{name}_compile_seconds": round(turns[0][name][1], 1) for name in turns[0]}
    each = [round(ratio, 3) for ratio in ratios]
    print(json.dumps({"study_over_single": statistics.median(ratios), "each": each, **sums, **compiling}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
