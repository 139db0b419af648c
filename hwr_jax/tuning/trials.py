"""Hyperparameter search with Optuna: TPE, bad trials pruned by successive halving. Only this, its
storage and its plots import it.

The test set is never read: a trial is scored by its mean validation accuracy over the search's seeds.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from hwr_jax.config import check
from hwr_jax.core import stats
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Dataset
from hwr_jax.distributed.signals import Signals
from hwr_jax.studies import local, trial
from hwr_jax.tuning.spec import Search, with_overrides
from hwr_jax.tuning.storage import OWNER

CONFIRM_FROM = 1_000  # first seed of what is trained to confirm

Load = Callable[[ConfigDict], Dataset]


def run(
    search: Search,
    study: Any,
    load: Load,
    signals: Signals,
    *,
    trials: int,
    minutes: float,
    heard: Callable[[Any], None],
    log: Callable[[str], Any],
) -> None:
    """Tries configs until there are so many trials in the study, or the time is over.

    Args:
      search, study: from `spec.load` and `storage.open_study`.
      load: config -> its data set.
      signals: entered; a signal ends it, and the trial that was running is marked as failed.
      trials: finished or pruned, of all processes together.
      minutes: of this process; the trial that runs then is ended as usual.
      heard: is told each trial that has ended.
      log: called with one line of text for the user at a time.
    """
    import optuna

    began, kept = time.monotonic(), local.keeping(load)
    _check_data(study, kept, search)
    states = optuna.trial.TrialState
    while time.monotonic() - began < 60 * minutes:
        if len(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))) >= trials:
            return
        one = study.ask()
        one.set_user_attr(OWNER, f"{platform.node()}:{os.getpid()}")
        try:
            value = _score(search, one, kept, signals, log)
            study.tell(one, value)
        except optuna.TrialPruned:
            study.tell(one, state=states.PRUNED)
        except BaseException:
            with contextlib.suppress(Exception):  # it may have been told already
                study.tell(one, state=states.FAIL)
            raise
        heard(study.get_trials(deepcopy=False)[one.number])


def _check_data(study: Any, load: Load, search: Search) -> None:
    found = load(search.config).sha256
    if study.user_attrs.get("data", found) != found:
        raise ConfigError(f"the data set of {search.path} has changed since the first trial: choose another --out")
    study.set_user_attr("data", found)


def _overrides(search: Search, one: Any) -> dict[str, Any]:
    """Returns the values that Optuna proposes for a trial."""
    found: dict[str, Any] = {}
    for key, (kind, *numbers) in search.space.items():
        if kind == "choice":
            found[key] = one.suggest_categorical(key, [str(value) for value in numbers])
        elif kind == "int":
            found[key] = one.suggest_int(key, numbers[0], numbers[1], step=numbers[2] if len(numbers) > 2 else 1)
        else:
            found[key] = one.suggest_float(key, *map(float, numbers), log=kind == "log")
    return as_overrides(search, found)


def _score(search: Search, one: Any, load: Load, signals: Signals, log: Callable[[str], Any]) -> float:
    """Trains a proposal; returns its mean validation accuracy, 0 where a loss is not finite."""
    import optuna

    overrides = _overrides(search, one)
    config = with_overrides(search, overrides)
    try:
        check.check(config)
        values, seconds = _train(search, config, load, signals, log, _pruning(one))
    except ConfigError as error:  # values that do not fit each other
        one.set_user_attr("refused", str(error))
        raise optuna.TrialPruned from None
    one.set_user_attr("validation", values)
    one.set_user_attr("seconds", seconds)
    return float(np.mean(values))


def _pruning(one: Any) -> Callable[[int, float], None]:
    import optuna

    def report(step: int, value: float) -> None:
        one.report(value, step)
        if one.should_prune():
            raise optuna.TrialPruned

    return report


def _train(
    search: Search,
    config: ConfigDict,
    load: Load,
    signals: Signals,
    log: Callable[[str], Any],
    report: Callable[[int, float], None] = lambda step, value: None,
    *,
    first: int | None = None,
    seeds: int = 0,
) -> tuple[list[float], float]:
    """Trains a config; returns the validation accuracy of each seed, 0 of one that diverged, and the seconds."""
    seeds, first = seeds or search.seeds, config.seed if first is None else first
    size = local.block_size(0, seeds)
    compiled = trial.compiled(config, load(config), block=size, test=False, log=log)
    values: list[float] = []
    seconds = 0.0

    def watch(line: dict[str, Any]) -> None:
        if line["split"] == "validation":
            now = line["per_seed"]["accuracy"][: seeds - len(values)]
            step = len(values) * config.epochs + line["epoch"] * len(now)
            report(step, float(np.mean([*values, *now])))

    for begin in range(0, seeds, size):
        block = list(range(first + begin, first + min(begin + size, seeds)))
        records = trial.train(compiled, [trial.Pair(config, seed) for seed in block], signals, watch=watch)
        values += [0.0 if r.get("diverged") else r["validation"]["accuracy"] for r in records]
        seconds += sum(r.get("seconds", 0.0) for r in records)
    return values, seconds


def confirm(
    search: Search, study: Any, load: Load, signals: Signals, *, seeds: int, log: Callable[[str], Any]
) -> dict[str, Any]:
    """Trains the best trial's config and the search's own with new seeds, and compares them on validation: the best of
    many trials is better by luck too, and these seeds chose nothing. The result is kept in the study.

    Returns:
      `found` and `own` as `stats.summarise`, their paired `difference`, `p` of the sign-flip test, and the `trial`.
    """
    kept, leader = local.keeping(load), study.best_trial
    configs = {"found": with_overrides(search, as_overrides(search, leader.params)), "own": search.config}
    each = {
        name: _train(search, config, kept, signals, log, first=CONFIRM_FROM, seeds=seeds)[0]
        for name, config in configs.items()
    }
    differences = np.subtract(each["found"], each["own"])
    result = {
        **{name: stats.summarise(values, within=(0.0, 1.0)) for name, values in each.items()},
        "difference": stats.summarise(differences.tolist()),
        "p": float(stats.sign_flip_p(differences)) if seeds > 1 else None,
        "trial": leader.number,
    }
    study.set_user_attr("confirmed", result)
    return result


def as_overrides(search: Search, params: dict[str, Any]) -> dict[str, Any]:
    """Returns a trial's parameters as the config takes them: Optuna keeps choices by their names."""
    choices = {
        key: {str(value): value for value in axis[1:]} for key, axis in search.space.items() if axis[0] == "choice"
    }
    return {key: choices[key][value] if key in choices else value for key, value in params.items()}
