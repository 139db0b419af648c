"""What trains the missing (variant, seed) pairs of a study on this machine. Owns their order, and no file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from hwr_jax.benchmarks import measure
from hwr_jax.config import file as configs
from hwr_jax.core.types import Dataset
from hwr_jax.distributed.signals import Signals
from hwr_jax.studies import trial

Say = Callable[[str], Any]


class Work(NamedTuple):
    """What is to be trained of a variant."""

    variant: str
    config: ConfigDict
    seeds: list[int]


class Cost(NamedTuple):
    """What a variant's trials are expected to take."""

    seconds: float  # of a trial, without compiling
    compile_seconds: float


def block_size(asked: int, seeds: int) -> int:
    """Returns how many trials are trained at once: as asked, or (0) one on CPU, where more at once are not faster and
    a kill loses less, and all on accelerators."""
    return min(seeds, asked or (1 if jax.default_backend() == "cpu" else seeds))


def run(
    works: list[Work],
    load: Callable[[ConfigDict], Dataset],
    signals: Signals,
    *,
    block: int = 0,
    devices: int = 0,
    data_dir: str | None = None,
    log: Say,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trains, and yields (variant, record) as they come; what it takes to compile is in the first record of a shape.

    Variants that differ in the values of the optimiser's scalars alone (`optim.scalars`) are trained by one compiled
    program; on accelerators all at once, with their seeds.

    Args:
      works: what is missing.
      load: config -> its data set.
      signals: entered; a signal ends it between two dispatches.
      block: trials at once, see `block_size`.
      devices, data_dir: see `trial.compiled`.
      log: called with one line of text for the user at a time.
    """
    keep = keeping(load)
    for group in _by_shape(works):
        pairs = [(work.variant, trial.Pair(work.config, seed)) for work in group for seed in work.seeds]
        size, config = block_size(block, len(pairs)), group[0].config
        one = trial.compiled(config, keep(config), block=size, devices=devices, data_dir=data_dir, log=log)
        compile_seconds = round(one.seconds, 4)
        for first in range(0, len(pairs), size):
            some = pairs[first : first + size]
            records = trial.train(one, [pair for _, pair in some], signals)
            for (variant, _), record in zip(some, records, strict=True):
                yield variant, {**record, "compile_seconds": compile_seconds}
                compile_seconds = 0.0


def _by_shape(works: list[Work]) -> list[list[Work]]:
    """The works that have something to train, those together that one compiled program trains."""
    groups: dict[str, list[Work]] = {}
    for work in works:
        if work.seeds:
            groups.setdefault(trial.shape_of(work.config), []).append(work)
    return list(groups.values())


def expected(works: list[Work], load: Callable[[ConfigDict], Dataset], *, steps: int = 30) -> dict[str, Cost]:
    """Times a few steps of each shape, and returns what the trials of the variants that have something to train would
    take; compiling is with the first of a shape, evaluation is left out."""
    keep, found = keeping(load), {}
    for group in _by_shape(works):
        config = group[0].config
        dataset = keep(config)
        timed = measure.training(config, dataset, steps=steps, repeats=2)
        images = config.epochs * len(dataset.train.label) * config.seeds
        cost = Cost(images / timed["images_per_second"], timed["compile_seconds"])
        found[group[0].variant] = cost
        found |= {work.variant: cost._replace(compile_seconds=0.0) for work in group[1:]}
    return found


def keeping(load: Callable[[ConfigDict], Dataset]) -> Callable[[ConfigDict], Dataset]:
    """Returns `load`, which keeps the last data set: variants that share one, one after the other, load it once."""

    @functools.lru_cache(maxsize=1)
    def of(key: str) -> Dataset:
        return load(wanted[key])

    wanted: dict[str, ConfigDict] = {}

    def kept(config: ConfigDict) -> Dataset:
        key = configs.to_json(config.data)
        wanted[key] = config
        return of(key)

    return kept
