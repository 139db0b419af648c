"""What trains the missing (variant, seed) pairs of a study on this machine. Owns their order, and no file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from hwr_jax import config as configs
from hwr_jax import measure, trial
from hwr_jax.signals import Signals
from hwr_jax.types import Dataset

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
    say: Say,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trains, and yields (variant, record) as they come; what a variant takes to compile is in its first record.

    Args:
      works: one after the other.
      load: config -> its data set.
      signals: entered; a signal ends it between two dispatches.
      block: trials at once, see `block_size`.
      devices, data_dir: see `trial.compiled`.
      say: takes one line of text for the user at a time.
    """
    keep = keeping(load)
    for work in works:
        if not work.seeds:
            continue
        size = block_size(block, len(work.seeds))
        one = trial.compiled(work.config, keep(work.config), block=size, devices=devices, data_dir=data_dir, say=say)
        compile_seconds = round(one.seconds, 4)
        for first in range(0, len(work.seeds), size):
            for record in trial.train(one, work.seeds[first : first + size], signals):
                yield work.variant, {**record, "compile_seconds": compile_seconds}
                compile_seconds = 0.0


def expected(works: list[Work], load: Callable[[ConfigDict], Dataset], *, steps: int = 30) -> dict[str, Cost]:
    """Times a few steps of each variant, and returns what its trials would take; evaluation is left out."""
    keep, found = keeping(load), {}
    for work in works:
        dataset = keep(work.config)
        timed = measure.training(work.config, dataset, steps=steps, repeats=2)
        images = work.config.epochs * len(dataset.train.label) * work.config.seeds
        found[work.variant] = Cost(images / timed["images_per_second"], timed["compile_seconds"])
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
