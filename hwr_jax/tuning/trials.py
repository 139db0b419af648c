"""The trials of a search: Optuna proposes values (TPE) and prunes bad trials by successive halving.

A trial's score is its mean validation accuracy over the search's seeds; the test set is never read. Here a `proposal`
is a trial of Optuna's, and a `trial.Trial` trains one of its seeds.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from hwr_jax.config import check
from hwr_jax.core import stats
from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.distributed.signals import Signals
from hwr_jax.studies import local, trial
from hwr_jax.studies.local import Load
from hwr_jax.tuning.spec import Search, with_overrides
from hwr_jax.tuning.storage import OWNER, owner

CONFIRM_FROM = 1_000  # first of the seeds that confirm the best trial


def run(
    search: Search,
    study: Any,
    load: Load,
    signals: Signals,
    *,
    trials: int,
    minutes: float,
    on_trial: Callable[[Any], None],
    log: Callable[[str], Any],
) -> None:
    """Tries configs until the study has enough trials or the time is up.

    Args:
      search, study: from `spec.load` and `storage.open_study`.
      load: config -> its data set.
      signals: entered; a signal ends the search, and marks the running trial as failed.
      trials: how many, finished or pruned, by all processes together.
      minutes: for this process; a trial that is running then is finished.
      on_trial: called with each trial that has ended.
      log: called with one line of text for the user at a time.
    """
    import optuna

    began, kept = time.monotonic(), local.keeping(load)
    _check_data(study, kept, search)
    states = optuna.trial.TrialState
    while time.monotonic() - began < 60 * minutes:
        if len(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))) >= trials:
            return
        proposal = study.ask()
        proposal.set_user_attr(OWNER, owner())
        try:
            score = functools.partial(_score, search, proposal, kept, signals, log)
            _tell(study, proposal, log, score)
        except BaseException:
            with contextlib.suppress(Exception):  # its state may have been set already
                study.tell(proposal, state=states.FAIL)
            raise
        on_trial(study.get_trials(deepcopy=False)[proposal.number])


def _tell(study: Any, proposal: Any, log: Callable[[str], Any], score: Callable[[], float]) -> None:
    """Scores a proposal and tells the study, unless another process has ended the trial meanwhile."""
    import optuna

    value, state = None, optuna.trial.TrialState.PRUNED
    with contextlib.suppress(optuna.TrialPruned, optuna.exceptions.UpdateFinishedTrialError):
        value, state = score(), optuna.trial.TrialState.COMPLETE
    now = study.get_trials(deepcopy=False)[proposal.number].state
    if now.is_finished():
        log(f"trial {proposal.number}: its result is lost, because another process marked it as {now.name.lower()}")
        return
    study.tell(proposal, value, state=state)


def _check_data(study: Any, load: Load, search: Search) -> None:
    digest = load(search.config).sha256
    if study.user_attrs.get("data", digest) != digest:
        raise ConfigError(f"the data set of {search.path} has changed since the first trial: choose another --out")
    study.set_user_attr("data", digest)


def _overrides(search: Search, proposal: Any) -> dict[str, Any]:
    """Returns the values that Optuna proposes."""
    params: dict[str, Any] = {}
    for key, (kind, *numbers) in search.space.items():
        if kind == "choice":
            params[key] = proposal.suggest_categorical(key, [str(value) for value in numbers])
        elif kind == "int":
            step = numbers[2] if len(numbers) > 2 else 1
            params[key] = proposal.suggest_int(key, numbers[0], numbers[1], step=step)
        else:
            params[key] = proposal.suggest_float(key, *map(float, numbers), log=kind == "log")
    return as_overrides(search, params)


def _score(search: Search, proposal: Any, load: Load, signals: Signals, log: Callable[[str], Any]) -> float:
    """Trains a proposal and returns its mean validation accuracy, counting 0 for a seed that diverged."""
    import optuna

    overrides = _overrides(search, proposal)
    config = with_overrides(search, overrides)
    try:
        check.check(config)
        values, seconds = _train(search, config, load, signals, log, _pruning(proposal))
    except (ConfigError, DataError) as error:  # values that do not fit together, or not the data
        proposal.set_user_attr("refused", str(error))
        raise optuna.TrialPruned from None
    proposal.set_user_attr("validation", values)
    proposal.set_user_attr("seconds", seconds)
    return float(np.mean(values))


def _pruning(proposal: Any) -> Callable[[int, float], None]:
    """Returns report(step, value), which raises TrialPruned if the proposal should end early."""
    import optuna

    def report(step: int, value: float) -> None:
        proposal.report(value, step)
        if proposal.should_prune():
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
    """Trains a config; returns the validation accuracy of each seed (0 if it diverged), and the seconds."""
    seeds, first = seeds or search.seeds, config.seed if first is None else first
    size = local.block_size(0, seeds)
    compiled = trial.compile_config(config, load(config), block=size, test=False, log=log)
    values: list[float] = []
    seconds = 0.0

    def watch(line: dict[str, Any]) -> None:
        if line["split"] == "validation":
            now = line["per_seed"]["accuracy"][: seeds - len(values)]
            step = len(values) * config.epochs + line["epoch"] * len(now)
            report(step, float(np.mean([*values, *now])))

    for begin in range(0, seeds, size):
        block = list(range(first + begin, first + min(begin + size, seeds)))
        records = trial.train(compiled, [trial.Trial(config, seed) for seed in block], signals, watch=watch)
        values += [0.0 if r.get("diverged") else r["validation"]["accuracy"] for r in records]
        seconds += sum(r.get("seconds", 0.0) for r in records)
    return values, seconds


def confirm(
    search: Search, study: Any, load: Load, signals: Signals, *, seeds: int, log: Callable[[str], Any]
) -> dict[str, Any]:
    """Trains the best trial's config and the original with new seeds, and compares them on validation: the best of
    many trials is partly lucky, and the new seeds took no part in the choice. The study keeps the result.

    Returns:
      `found` (best trial) and `own` (original) as from `stats.summarise`, their paired `difference`, `p` of the
      sign-flip test, and the number of the `trial`.
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
    """Returns a trial's parameters as config values: Optuna stores choices as strings."""
    choices = {
        key: {str(value): value for value in axis[1:]} for key, axis in search.space.items() if axis[0] == "choice"
    }
    return {key: choices[key][value] if key in choices else value for key, value in params.items()}
