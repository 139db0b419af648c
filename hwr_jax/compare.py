"""Compares finished runs: `python -m hwr_jax.compare RUN...`."""

from __future__ import annotations

import json

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Compares finished runs by what they left in their folders, and trains nothing: accuracy with intervals, time, the config
keys that differ, and the difference of each run from the first one, over the seeds and over the test images, each with
an interval and a corrected p. A folder of run folders that differ in nothing but their seeds, such as a Slurm array
leaves, is one run. Refuses runs of another data set or split, and runs that are not finished.

    python -m hwr_jax.compare runs/cnn runs/nesterov
    python -m hwr_jax.compare --format=csv runs/* > runs.csv
    python -m hwr_jax.compare --metric=loss --out=compared runs/cnn runs/nesterov
"""
METRICS = ["accuracy", "loss", "cer", "ece", "f1_macro"]  # the keys of `studies.metric.METRICS`

FLAGS = flags.Flags()
_METRIC = FLAGS.choice("metric", METRICS[0], METRICS, "What to compare; cer is for strings, f1_macro for classes.")
_FORMAT = flags.output_format(FLAGS, ["table", "csv", "json"])
_OUT = flags.out(FLAGS, "Folder to write comparison.json and comparison.csv to.")


def main(names: list[str]) -> int:
    """Prints the comparison; returns the exit code. Raises ConfigError if no folder is named."""
    if not names:
        raise errors.ConfigError("name the run folders to compare, such as runs/cnn runs/nesterov")
    from hwr_jax.cli import console, folders
    from hwr_jax.core import files
    from hwr_jax.studies import runs, side_by_side
    from hwr_jax.studies.metric import METRICS as KNOWN

    metric = KNOWN[_METRIC.value]
    found = side_by_side.compare(runs.read(names, metric), metric)
    if out := folders.made("out", _OUT.value):
        files.write_json(out / "comparison.json", found)
        files.write_atomic(out / "comparison.csv", side_by_side.as_csv(found))
    if _FORMAT.value == "json":
        print(json.dumps(found, indent=2))
    elif _FORMAT.value == "csv":
        print(side_by_side.as_csv(found), end="")
    else:
        screen = console.make_console()
        for part in side_by_side.tables(found, metric):
            screen.print(part)
    return errors.DONE


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE, arguments="RUN...")
