"""Training trials: a config with one seed after the other, in memory, a block of trials at a time.

The loop is that of every run (`loop.epochs`), without checkpoints and figures: trials are short, and an interrupted one
is trained again. On CPU a trial is bit-identical to the main job with the same seed. `scores` says what a record holds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from hwr_jax.core.errors import ConfigError, NotFiniteError
from hwr_jax.core.types import Dataset, TrainState
from hwr_jax.data import configured
from hwr_jax.distributed.signals import Signals
from hwr_jax.optim import optimizers
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run, compile_training, shapes
from hwr_jax.studies import scores
from hwr_jax.training import job, loop, summary, transfer

MEMBERS_APART = 1_000_000  # seeds between two members of an ensemble, so that no two trials share one

STOPPED = "stopped: unfinished trials were discarded"

Watch = Callable[[dict[str, Any]], None]  # called with each line of metrics; may raise to end the trial


class Trial(NamedTuple):
    """A config and the seed to train it with."""

    config: ConfigDict
    seed: int


class Compiled(NamedTuple):
    """A config, compiled once for any seeds and any values of its optimiser's scalars."""

    run: Run
    programs: Programs
    predict_test: Any | None  # None: the test set is not read
    warm_start: transfer.WarmStart | None  # the weights that trials begin with, where they are not random
    shape: str  # see `shape_of`
    facts: dict[str, Any]  # that all records have in common
    seconds: float  # of compiling
    block: int  # trials at once
    members: int  # seeds of a trial: config.seeds; if several, their ensemble is scored


class EpochSeconds:
    """The seconds inside the steps of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[float] = []

    def trained(self, event: str, *, step: int, train_seconds: float, images: int, **values: Any) -> None:
        """Notes an epoch."""
        self.epochs.append(train_seconds)


def shape_of(config: ConfigDict) -> str:
    """Returns a string that is the same for all configs whose trials one compiled program can train: everything except
    the values of the optimiser's non-zero scalars."""
    what = config.to_dict()
    if config.model.name != "scratch":  # it is not compiled
        what["optim"] |= dict.fromkeys(optimizers.scalars(config.optim))
    return json.dumps(what, sort_keys=True)


def compile_config(
    config: ConfigDict,
    dataset: Dataset,
    *,
    block: int,
    devices: int = 0,
    test: bool = True,
    data_dir: str | None = None,
    log: Callable[[str], Any],
) -> Compiled:
    """Compiles everything that the trials of a checked config call.

    Args:
      config: if config.seeds > 1, a trial is an ensemble of that many seeds.
      dataset: that of the config.
      block: trials trained by one call; more than one pays off on accelerators. Groups of devices share the seeds as
        far as these divide evenly.
      devices: number to use; 0: all.
      test: whether to read the test set, once, at the end of a trial.
      data_dir: of tensorflow-datasets, for rehearsal data; None: the usual one.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: values do not fit each other, the data or the devices.
      DataError: the rehearsal data, or that of the first weights, is missing or bad.
      RunFolderError: the run of the first weights (config.init_from) is damaged.
    """
    if config.seeds > 1 and configured.reads_strings(config):
        raise ConfigError(f"config.seeds={config.seeds} would be an ensemble, which strings do not have: use 1")
    own = config.copy_and_resolve_references()
    own.seeds = block * config.seeds
    groups = math.gcd(devices or jax.device_count(), own.seeds)
    bound = job.prepare(own, dataset, devices=devices, seed_groups=groups, injected=True, data_dir=data_dir, log=log)
    run, start = bound.run, time.perf_counter()
    programs, _ = compile_training(run)
    state = run.state_shapes()
    predict_test = None
    if test:
        arrays = shapes(run.dataset.test, run.sharding)
        predict_test = run.programs.predict.lower(state.params, state.model_state, arrays).compile()
    facts = scores.facts(run, bound.env, state.params)
    seconds = time.perf_counter() - start
    return Compiled(
        run, programs, predict_test, bound.warm_start, shape_of(config), facts, seconds, block, config.seeds
    )


def train(
    compiled: Compiled, trials: list[Trial], signals: Signals, *, watch: Watch = lambda line: None
) -> list[dict[str, Any]]:
    """Trains at most a block of trials, whose configs have the compiled shape, and returns their records in order.

    The record of a trial whose loss is not finite says so, and has no scores.

    Raises:
      Stopped: a signal came; nothing of this block is kept. Also whatever `watch` raises.
    """
    try:
        return _train(compiled, trials, signals, watch)
    except NotFiniteError as error:
        bad = {int(row) // compiled.members for row in np.flatnonzero(error.bad)}
        left = [i for i in range(len(trials)) if i not in bad]
        if len(left) == len(trials):
            raise
        again = train(compiled, [trials[i] for i in left], signals, watch=watch) if left else []
        records = dict(zip(left, again, strict=True))
        diverged = {"diverged": "the loss, or too many updates, were not finite"}
        return [records.get(i) or {**_head(compiled, trial), **diverged} for i, trial in enumerate(trials)]


def _head(compiled: Compiled, trial: Trial) -> dict[str, Any]:
    return scores.head(trial.config, trial.seed, compiled.facts)


def _state(compiled: Compiled, run: Run, trials: list[Trial]) -> TrainState:
    """The state before the first step, with the scalars of each trial's config."""
    state = compiled.programs.init(run.seed_array())
    if compiled.warm_start is not None:
        state = transfer.put_in(run, state, compiled.warm_start)
    if run.recipe.scratch is not None:
        return state
    each = [optimizers.scalars(trial.config.optim) for trial in trials for _ in range(compiled.members)]
    values = {name: np.array([scalars[name] for scalars in each], np.float32) for name in each[0]}
    placed = {name: jax.device_put(value, run.sharding) for name, value in values.items()}
    return state._replace(opt_state=optimizers.with_scalars(state.opt_state, placed))


def _train(compiled: Compiled, trials: list[Trial], signals: Signals, watch: Watch) -> list[dict[str, Any]]:
    if any(shape_of(trial.config) != compiled.shape for trial in trials):
        raise AssertionError("a trial of another shape than was compiled")
    start = time.perf_counter()
    members = compiled.members
    padded = [*trials, *[trials[-1]] * (compiled.block - len(trials))]  # the only number that is compiled
    seeds = [trial.seed + MEMBERS_APART * m for trial in padded for m in range(members)]
    run = dataclasses.replace(compiled.run, seeds=seeds)
    lines: list[dict[str, Any]] = []
    times = EpochSeconds()

    def record(line):
        lines.append(line)
        watch(line)

    tools = loop.Tools(signals=signals, record=record, stopped=lambda step: STOPPED, timing=times)
    try:
        state = loop.epochs(run, compiled.programs, _state(compiled, run, padded), tools)
    finally:
        signals.deferred = False
    signals.raise_pending(STOPPED)
    outputs = summary.read(run, compiled.programs, compiled.predict_test, state)
    seconds = (time.perf_counter() - start) / len(padded)
    return [
        {
            **_head(compiled, trial),
            "curve": scores.curve(lines, rows),
            **scores.scores(run.dataset, outputs, rows),
            "steps": int(state.step[rows.start]),
            "train_seconds": round(sum(times.epochs) / len(padded), 4),
            "seconds": round(seconds, 4),
        }
        for trial, rows in zip(trials, (slice(i, i + members) for i in range(0, len(seeds), members)), strict=False)
    ]
