"""Searches hyperparameters and confirms the best: `python -m hwr_jax.search --search=FOLDER [--minutes=30]`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Tries values of a config's keys (Optuna: TPE, bad trials ended early by successive halving) for the highest validation
accuracy; the test set is never read. Run the same command again to resume; several processes on one disk, or with the
same --storage, share the work. At the end it trains the best trial and the original config with new seeds, compares
them, and writes report.md and figures. `python -m pydoc hwr_jax.tuning.spec` describes the search file.

    python -m hwr_jax.search --search=experiments/fast_search/search.py --minutes=30 --trials=200
"""

FLAGS = flags.Flags()
_SEARCH = FLAGS.string("search", None, "The search: a search.py, or its folder.", kind="FILE", required=True)
_TRIALS = FLAGS.integer("trials", 200, "Stop after this many trials, counted over all processes and calls.", at_least=1)
_MINUTES = FLAGS.number(
    "minutes", 30.0, "Start no trial after this many minutes. With 0, only report the trials so far.", at_least=0.0
)
_STORAGE = FLAGS.string(
    "storage",
    "",
    "Where the trials are kept: a journal file, or the URL of a database; default: journal.log in --out.",
    kind="FILE|URL",
)
_OUT = flags.out(FLAGS, "Folder of the journal and the report; default: that of the search.")
_SEED = FLAGS.integer(
    "seed",
    -1,
    "Seed of the proposals, which makes a search by a single process reproducible; default: a new one each time.",
    at_least=-1,
)
_CONFIRM = FLAGS.integer(
    "confirm", 10, "Number of new seeds on which the best trial is compared with the original config.", at_least=0
)
_DATA_DIR = flags.data_dir(FLAGS)


def main() -> int:
    """Searches; returns the exit code. Raises ConfigError without --search."""
    if not _SEARCH.value:
        raise errors.ConfigError("--search is missing: name one, such as --search=experiments/fast_search/search.py")
    from hwr_jax.tuning import spec

    search = spec.load(_SEARCH.value)
    folder = command.folder("out", _OUT.value, str(search.folder))
    folder.mkdir(parents=True, exist_ok=True)
    from hwr_jax.cli import console
    from hwr_jax.config import check
    from hwr_jax.tuning import report, storage

    for made in spec.extremes(search):
        check.check(made)
    screen = console.make_console()
    study = storage.open_study(search, folder, _STORAGE.value, sampler_seed=None if _SEED.value < 0 else _SEED.value)
    _search(search, study, folder, screen)
    if not report.has_finished(study):
        screen.print("No trial has finished yet: there is nothing to report.")
        return errors.DONE
    report.write(search, study, folder)
    screen.print(report.verdict(search, study))
    screen.print(f"Report: {folder / 'report.md'}")
    return errors.DONE


def _search(search, study: Any, folder: Path, screen) -> None:
    """Runs trials, and confirms the best of them."""
    from hwr_jax.data import configured
    from hwr_jax.distributed.signals import Signals
    from hwr_jax.tuning import report, trials
    from hwr_jax.workdir import machine

    machine.spare_threads()
    load = configured.Loader(_DATA_DIR.value, quiet=False)
    began, ended = time.monotonic(), 0

    def on_trial(trial) -> None:
        nonlocal ended
        ended += 1
        left = report.time_left(
            ended, time.monotonic() - began, trials=_TRIALS.value - report.ended(study), minutes=_MINUTES.value
        )
        screen.print(f"{report.line(study, trial)}; {left}")

    try:
        with Signals() as signals:
            trials.run(
                search,
                study,
                load,
                signals,
                trials=_TRIALS.value,
                minutes=_MINUTES.value,
                on_trial=on_trial,
                log=screen.print,
            )
            if _CONFIRM.value and _MINUTES.value and report.needs_confirming(study, _CONFIRM.value):
                screen.print(f"Training the best trial and the original config with {_CONFIRM.value} new seeds each")
                trials.confirm(search, study, load, signals, seeds=_CONFIRM.value, log=screen.print)
    except errors.Stopped as stopped:
        raise stopped.reworded("stopped: finished trials are kept; run the same command again to resume") from None


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
