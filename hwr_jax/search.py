"""Searches hyperparameters: `python -m hwr_jax.search --search=experiments/fast_search/search.py [--minutes=30]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from hwr_jax.cli import command
from hwr_jax.core import errors

USAGE = """\
Tries values of a config's keys (Optuna: TPE, bad trials ended early by successive halving) for the highest validation
accuracy; the test set is never read. The same command goes on where one stopped; several at the same time, on one disk
or with the same --storage, share the work. Then the best is trained with new seeds beside the config as it is, and
report.md and figures are written. How a search is written: hwr_jax/tuning/spec.py.

    python -m hwr_jax.search --search=experiments/fast_search/search.py --minutes=30 [--trials=200]
"""

FLAGS = flags.FlagValues()
_SEARCH = flags.DEFINE_string("search", None, "The search (required): its search.py, or the folder.", flag_values=FLAGS)
_TRIALS = flags.DEFINE_integer(
    "trials", 200, "Stop when there are so many, of all processes and calls.", lower_bound=1, flag_values=FLAGS
)
_MINUTES = flags.DEFINE_float(
    "minutes", 30.0, "Begin no trial after so long; 0: report what is there.", lower_bound=0.0, flag_values=FLAGS
)
_STORAGE = flags.DEFINE_string(
    "storage", "", "Where trials are kept: a journal file, or the URL of a database; default: journal.log in --out.",
    flag_values=FLAGS,
)  # fmt: skip
_OUT = flags.DEFINE_string("out", None, "Folder of journal and report; default: the search's own.", flag_values=FLAGS)
_SEED = flags.DEFINE_integer(
    "seed", -1, "Of the proposals, for one process alone; -1: another one each time.", lower_bound=-1, flag_values=FLAGS
)
_CONFIRM = flags.DEFINE_integer(
    "confirm", 10, "New seeds that compare what was found with the config as it is; 0: none.", lower_bound=0,
    flag_values=FLAGS,
)  # fmt: skip
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of tensorflow-datasets; default: TFDS_DATA_DIR or its own.", flag_values=FLAGS
)


def main(argv: list[str]) -> int:
    """Searches; returns the exit code."""
    if argv:
        raise errors.ConfigError(f"{argv[0]!r} is no flag: a flag is --name=value")
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
        screen.print("No trial has been finished yet: there is nothing to report.")
        return errors.DONE
    report.write(search, study, folder)
    screen.print(report.verdict(search, study))
    screen.print(f"Report: {folder / 'report.md'}")
    return errors.DONE


def _search(search, study: Any, folder: Path, screen) -> None:
    """Runs trials, and what confirms the best of them."""
    from hwr_jax.distributed.signals import Signals
    from hwr_jax.tuning import report, trials
    from hwr_jax.workdir import machine

    machine.spare_threads()
    load = command.Loader(_DATA_DIR.value, quiet=False)
    try:
        with Signals() as signals:
            trials.run(
                search,
                study,
                load,
                signals,
                trials=_TRIALS.value,
                minutes=_MINUTES.value,
                heard=lambda one: screen.print(report.line(study, one)),
                log=screen.print,
            )
            if _CONFIRM.value and _MINUTES.value and report.needs_confirming(study, _CONFIRM.value):
                screen.print(f"Training the best and the config as it is with {_CONFIRM.value} new seeds each")
                trials.confirm(search, study, load, signals, seeds=_CONFIRM.value, log=screen.print)
    except errors.Stopped as stopped:
        raise stopped.said("stopped: the trials that ended are kept, and the same command goes on") from None


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
