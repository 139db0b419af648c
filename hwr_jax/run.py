"""A run: a config and a data set bound to compiled programs and devices. Owns no file and no clock."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from hwr_jax import programs as compiled
from hwr_jax import sharding
from hwr_jax.programs import Programs
from hwr_jax.recipe import Recipe, make_recipe
from hwr_jax.types import Arrays, Dataset


class Run(NamedTuple):
    """What stays the same during a run."""

    config: ConfigDict
    dataset: Dataset
    recipe: Recipe
    programs: Programs
    how: str  # over the seeds: 'map' or 'vmap'
    sharding: jax.sharding.NamedSharding  # of arrays that every device holds whole
    seeds: list[int]


def make_run(config: ConfigDict, dataset: Dataset, *, devices: int = 0) -> Run:
    """Turns a checked config into a run. Raises ConfigError for values that do not fit each other, data or devices."""
    examples, *shape = dataset.train.image.shape
    recipe = make_recipe(config, examples=examples, classes=len(dataset.classes), mean=dataset.mean, std=dataset.std)
    mesh = sharding.make_mesh(devices, batch_size=config.batch_size)
    how = compiled.seeds_mode(config.over_seeds)
    programs = compiled.make_programs(
        recipe, mesh, how=how, examples=examples, shape=tuple(shape), eval_batch=config.eval.batch_size
    )
    seeds = list(range(config.seed, config.seed + config.seeds))
    return Run(config, dataset, recipe, programs, how, sharding.replicated(mesh), seeds)


def on_device(run: Run, arrays: Arrays) -> Arrays:
    """Puts a split on every device of the run, once."""
    return jax.device_put(Arrays(np.asarray(arrays.image), np.asarray(arrays.label)), run.sharding)
