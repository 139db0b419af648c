"""Trains the missing trials of a study on this machine. Decides their order, and writes no file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from hwr_jax.benchmarks import measure
from hwr_jax.core.types import Dataset
from hwr_jax.data import configured
from hwr_jax.distributed.signals import Signals
from hwr_jax.studies import trial

Load = Callable[[ConfigDict], Dataset]


class VariantJob(NamedTuple):
    """The trials of a variant that are still to be trained."""

    variant: str
    config: ConfigDict
    seeds: list[int]  # without a record


class Cost(NamedTuple):
    """What a variant's trials are expected to take."""

    seconds: float  # of a trial, without compiling
    compile_seconds: float


def block_size(asked: int, seeds: int) -> int:
    """Returns how many trials to train at once: as asked, or if 0, all on accelerators and one on CPU, where a larger
    block is not faster and an interruption would lose more."""
    return min(seeds, asked or (1 if jax.default_backend() == "cpu" else seeds))


def run(
    jobs: list[VariantJob],
    load: Load,
    signals: Signals,
    *,
    block: int = 0,
    devices: int = 0,
    data_dir: str | None = None,
    log: Callable[[str], Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trains, and yields (variant, record) as trials finish; the first record of a shape has its seconds of compiling.

    Variants that differ only in the values of the optimiser's scalars (`optimizers.scalars`) are trained by one
    compiled program; on accelerators all at once, with their seeds.

    Args:
      jobs: what is missing.
      load: config -> its data set.
      signals: entered; a signal stops training between two dispatches.
      block: trials at once, see `block_size`.
      devices, data_dir: see `trial.compile_config`.
      log: called with one line of text for the user at a time.
    """
    keep = keeping(load)
    for group in _by_shape(jobs):
        trials = [(job.variant, trial.Trial(job.config, seed)) for job in group for seed in job.seeds]
        size, config = block_size(block, len(trials)), group[0].config
        compiled = trial.compile_config(config, keep(config), block=size, devices=devices, data_dir=data_dir, log=log)
        compile_seconds = round(compiled.seconds, 4)
        for first in range(0, len(trials), size):
            some = trials[first : first + size]
            records = trial.train(compiled, [one for _, one in some], signals)
            for (variant, _), record in zip(some, records, strict=True):
                yield variant, {**record, "compile_seconds": compile_seconds}
                compile_seconds = 0.0


def _by_shape(jobs: list[VariantJob]) -> list[list[VariantJob]]:
    """The jobs that have seeds to train, grouped by the compiled program that trains them."""
    groups: dict[str, list[VariantJob]] = {}
    for job in jobs:
        if job.seeds:
            groups.setdefault(trial.shape_of(job.config), []).append(job)
    return list(groups.values())


def expected(jobs: list[VariantJob], load: Load, *, steps: int = 30) -> dict[str, Cost]:
    """Times a few steps of each shape, and returns the expected cost of each variant that has seeds to train.

    The first variant of a shape bears the compiling; evaluation is not counted.
    """
    keep, costs = keeping(load), {}
    for group in _by_shape(jobs):
        config = group[0].config
        dataset = keep(config)
        timed = measure.training(config, dataset, steps=steps, repeats=2)
        images = config.epochs * len(dataset.train.label) * config.seeds
        cost = Cost(images / timed["images_per_second"], timed["compile_seconds"])
        costs[group[0].variant] = cost
        costs |= {job.variant: cost._replace(compile_seconds=0.0) for job in group[1:]}
    return costs


def keeping(load: Load) -> Load:
    """Returns `load` with the last data set kept: consecutive variants that share one load it once."""

    @functools.lru_cache(maxsize=1)
    def of(key: str) -> Dataset:
        return load(wanted[key])

    wanted: dict[str, ConfigDict] = {}

    def kept(config: ConfigDict) -> Dataset:
        key = configured.identity(config)
        wanted[key] = config
        return of(key)

    return kept
