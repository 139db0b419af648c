"""Trials: a config trained with one seed after the other, in memory. Owns what the record of each holds.

The loop is that of every run (`loop.epochs`), without checkpoints and figures: a trial is short, and is done again
where it was cut off. On CPU a trial has the bits of the main job with the same seed.
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

from hwr_jax import data
from hwr_jax.core import digests
from hwr_jax.core.errors import ConfigError, NotFiniteError
from hwr_jax.core.types import Dataset, TrainState
from hwr_jax.distributed.signals import Signals
from hwr_jax.optim import optimizers
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run, compile_training, shapes
from hwr_jax.studies import scores
from hwr_jax.training import job, loop, summary, transfer
from hwr_jax.workdir import run_folder

MEMBERS_APART = 1_000_000  # seeds between two members of an ensemble, so that no two trials share one

STOPPED = "stopped, and nothing of the trials that had begun is kept"

Watch = Callable[[dict[str, Any]], None]  # hears each line of metrics; may raise to end the trial


class Pair(NamedTuple):
    """What one trial trains."""

    config: ConfigDict
    seed: int


class Compiled(NamedTuple):
    """A config, compiled once for any seeds, and for any values of its optimiser's scalars."""

    run: Run
    programs: Programs
    predict_test: Any | None  # None: the test set is not read
    begun: transfer.WarmStart | None  # the weights that trials begin with, where they are not random
    shape: str  # see `shape_of`
    facts: dict[str, Any]  # of every record
    seconds: float  # of compiling
    block: int  # trials at once
    members: int  # seeds of a trial: config.seeds, of more than one the ensemble is scored


class Times:
    """The seconds inside the steps of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[float] = []

    def trained(self, event: str, *, step: int, train_seconds: float, images: int, **values: Any) -> None:
        """Notes an epoch."""
        self.epochs.append(train_seconds)


def shape_of(config: ConfigDict) -> str:
    """Returns what two configs have in common whose trials the same compiled program trains: all but the values of the
    optimiser's scalars that are not zero."""
    what = config.to_dict()
    if config.model.name != "scratch":  # which is not compiled
        what["optim"] |= dict.fromkeys(optimizers.scalars(config.optim))
    return json.dumps(what, sort_keys=True)


def compiled(
    config: ConfigDict,
    dataset: Dataset,
    *,
    block: int,
    devices: int = 0,
    test: bool = True,
    data_dir: str | None = None,
    log: Callable[[str], Any],
) -> Compiled:
    """Compiles all that the trials of a checked config call.

    Args:
      config: with config.seeds > 1 a trial is an ensemble of so many.
      dataset: that of the config.
      block: trials trained by one call; more than one pays on accelerators. Groups of devices share the seeds as far
        as they can be dealt out evenly.
      devices: how many are used; 0: all.
      test: whether the test set is read, once, at the end of a trial.
      data_dir: of tensorflow-datasets, for what is rehearsed; None: the usual one.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError, DataError, RunFolderError.
    """
    if config.seeds > 1 and config.data.name == data.STRINGS:
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
    facts = {
        "dataset": {key: bound.env["dataset"][key] for key in ("name", "sha256", "examples")},
        "test_sha256": digests.of_tree(run.dataset.test),
        "code": bound.env["code"],
        "versions": {name: bound.env["versions"][name] for name in ("jax", "jaxlib", "flax", "optax")},
        "devices": bound.env["devices"],
        "over_seeds": run.how,
        "parameters": sum(int(np.prod(p.shape[1:])) for p in jax.tree.leaves(state.params)),
    }
    if "init_from" in bound.env:
        facts["init_from"] = bound.env["init_from"]
    seconds = time.perf_counter() - start
    return Compiled(
        run, programs, predict_test, bound.warm_start, shape_of(config), facts, seconds, block, config.seeds
    )


def train(one: Compiled, pairs: list[Pair], signals: Signals, *, watch: Watch = lambda line: None) -> list[dict]:
    """Trains a trial for each of the pairs (at most a block), whose configs are of the shape that was compiled, and
    returns their records in the same order.

    A trial whose loss is not finite has a record that says so, and no scores.

    Raises:
      Stopped: nothing of this block is kept. And what `watch` raises.
    """
    try:
        return _train(one, pairs, signals, watch)
    except NotFiniteError as error:
        bad = {int(row) // one.members for row in np.flatnonzero(error.bad)}
        left = [i for i in range(len(pairs)) if i not in bad]
        if len(left) == len(pairs):
            raise
        again = train(one, [pairs[i] for i in left], signals, watch=watch) if left else []
        found = dict(zip(left, again, strict=True))
        words = "the loss, or too many updates, were not finite"
        return [found.get(i) or {**_head(one, pair), "diverged": words} for i, pair in enumerate(pairs)]


def _head(one: Compiled, pair: Pair) -> dict[str, Any]:
    return {"seed": pair.seed, "config_sha256": run_folder.config_digest(pair.config), **one.facts}


def _state(one: Compiled, run: Run, pairs: list[Pair]) -> TrainState:
    """The state before the first step, with the scalars of each pair's config."""
    state = one.programs.init(run.seed_array())
    if one.begun is not None:
        state = transfer.put_in(run, state, one.begun)
    if run.recipe.scratch is not None:
        return state
    each = [optimizers.scalars(pair.config.optim) for pair in pairs for _ in range(one.members)]
    values = {name: np.array([scalars[name] for scalars in each], np.float32) for name in each[0]}
    placed = {name: jax.device_put(value, run.sharding) for name, value in values.items()}
    return state._replace(opt_state=optimizers.with_scalars(state.opt_state, placed))


def _train(one: Compiled, pairs: list[Pair], signals: Signals, watch: Watch) -> list[dict]:
    if any(shape_of(pair.config) != one.shape for pair in pairs):
        raise AssertionError("a pair of another shape than was compiled")
    start = time.perf_counter()
    padded = [*pairs, *[pairs[-1]] * (one.block - len(pairs))]  # no other number is compiled
    seeds = [pair.seed + MEMBERS_APART * m for pair in padded for m in range(one.members)]
    run = dataclasses.replace(one.run, seeds=seeds)
    lines: list[dict[str, Any]] = []
    times = Times()

    def record(line):
        lines.append(line)
        watch(line)

    tools = loop.Tools(signals=signals, record=record, stopped=lambda step: STOPPED, timing=times)
    try:
        state = loop.epochs(run, one.programs, _state(one, run, padded), tools)
    finally:
        signals.deferred = False
    signals.raise_pending(STOPPED)
    outputs = summary.read(run, one.programs, one.predict_test, state)
    seconds = (time.perf_counter() - start) / len(padded)
    return [
        {
            **_head(one, pair),
            "curve": scores.curve(lines, rows),
            **scores.scores(run.dataset, outputs, rows),
            "steps": int(state.step[rows.start]),
            "train_seconds": round(sum(times.epochs) / len(padded), 4),
            "seconds": round(seconds, 4),
        }
        for pair, rows in zip(pairs, scores.rows_of_each(one.members), strict=False)
    ]
