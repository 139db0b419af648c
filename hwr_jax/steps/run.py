"""A run: a config and a data set, bound to compiled programs and devices. Touches no file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Dataset, TrainState, Tree
from hwr_jax.distributed import sharding
from hwr_jax.models import convolution, kernel_use
from hwr_jax.steps import balanced, compiled
from hwr_jax.steps.balanced import ByClass
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.plan import Plan, make_plan
from hwr_jax.steps.recipe import Recipe, make_recipe


@dataclass(frozen=True)
class Bound:
    """A config, bound to the shapes of its data and to devices."""

    plan: Plan  # what the host needs of the config
    model: ConfigDict  # config.model as these devices compute it (see `on_mesh` and `for_seeds`)
    recipe: Recipe
    programs: Programs
    how: str  # over the seeds: 'map' or 'vmap'
    sharding: jax.sharding.NamedSharding  # of arrays that every device holds in full
    seeds: list[int]

    def seed_array(self) -> jax.Array:
        """Returns the seeds as the programs take them, int32 [S]."""
        return jnp.asarray(self.seeds, jnp.int32)

    def state_shapes(self) -> TrainState:
        """Returns the shapes, dtypes and sharding of the state, for compiling and restoring."""
        return shapes(jax.eval_shape(self.programs.init, self.seed_array()), self.sharding)


@dataclass(frozen=True)
class Run(Bound):
    """What stays the same during a run."""

    dataset: Dataset
    by_class: ByClass | None = None  # the training rows of each class; None: each epoch is a permutation of all rows

    def order_arguments(self, epoch: int) -> tuple:
        """Returns what `programs.order` takes for an epoch."""
        return self.seed_array(), jnp.int32(epoch), *(() if self.by_class is None else (self.by_class,))

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run, per seed."""
        return self.plan.epochs * self.recipe.steps_per_epoch


def bind(
    config: ConfigDict,
    *,
    examples: int,
    shape: tuple[int, ...],
    classes: int,
    mean: float,
    std: float,
    devices: int | None,
    counts: np.ndarray | None = None,
    seed_groups: int = 1,
    injected: bool = False,
    portable: bool = False,
) -> Bound:
    """Makes the plan, the recipe and the programs of a checked config.

    Args:
      config: checked.
      examples, shape, mean, std: of the training set.
      classes: K.
      devices: how many to use; 0: all; None: one device of this process, for itself alone.
      counts: see `make_recipe`.
      seed_groups: see `sharding.make_mesh`.
      injected: see `make_recipe`.
      portable: use no kernels of this machine, so that the network can be exported.

    Raises:
      ConfigError: values that do not fit each other, the data or the devices.
    """
    mesh = sharding.own_mesh()
    if devices is not None:
        mesh = sharding.make_mesh(devices, batch_size=config.batch_size, groups=seed_groups, seeds=config.seeds)
    how = compiled.seeds_mode(config.over_seeds)
    config = with_model(config, kernel_use.PORTABLE) if portable else for_seeds(on_mesh(config, mesh), how)
    recipe = make_recipe(
        config, examples=examples, classes=classes, mean=mean, std=std, counts=counts, injected=injected
    )
    if recipe.scratch is not None and seed_groups > 1:
        raise ConfigError(f"--seed_groups={seed_groups} does not apply to the network from scratch: use 1")
    programs = compiled.make_programs(
        recipe, mesh, how=how, examples=examples, shape=tuple(shape), eval_batch=config.eval.batch_size
    )
    seeds = list(range(config.seed, config.seed + config.seeds))
    return Bound(make_plan(config), config.model, recipe, programs, how, sharding.replicated(mesh), seeds)


def on_mesh(config: ConfigDict, mesh: jax.sharding.Mesh | jax.sharding.AbstractMesh) -> ConfigDict:
    """Returns the config as a mesh computes it: without our kernels where JAX cannot split their calls.

    That is so for groups of devices with seeds of their own, and on several devices for a batch in parts.

    Raises:
      ConfigError: a key of config.model, such as convolution, asks for the kernels there.
    """
    asks = [key for key in kernel_use.KEYS if config.model[key] in kernel_use.ASKS]
    if not asks:
        return config
    if (groups := mesh.shape["seed"]) > 1:
        split = f"--seed_groups={groups}"
    elif (parts := config.optim.accumulate) > 1 and mesh.size > 1:
        split = f"config.optim.accumulate={parts} on {mesh.size} devices"
    else:
        return config
    for key in asks:
        if config.model[key] == "compiled" and jax.default_backend() == "cpu":
            raise ConfigError(f"config.model.{key}=compiled does not work with {split}: use auto")
    return with_model(config, {key: kernel_use.WITHOUT[key] for key in asks})


def for_seeds(config: ConfigDict, how: str) -> ConfigDict:
    """Returns the config as its seeds compute it: on a GPU, several at once evaluate with patches, as they train.

    Each seed has kernels of its own, and XLA makes their convolutions one with a group per seed, which cuDNN is slow
    at (docs/performance.md). Patches and kernels of all seeds are one batched product.

    Args:
      config: of the run.
      how: 'map' or 'vmap'.
    """
    several_at_once = how == "vmap" and config.seeds > 1 and jax.default_backend() == "gpu"
    open_choice = (
        config.model.name in kernel_use.KEYS["convolution"] and config.model.convolution in convolution.CHOICES
    )
    return with_model(config, {"convolution": "patches"}) if several_at_once and open_choice else config


def with_model(config: ConfigDict, changes: Mapping[str, str]) -> ConfigDict:
    """Returns a copy of the config with other values of keys of config.model."""
    changed = config.copy_and_resolve_references()
    changed.model.update(changes)
    return changed


def make_run(
    config: ConfigDict, dataset: Dataset, *, devices: int | None = 0, seed_groups: int = 1, injected: bool = False
) -> Run:
    """Binds a checked config to its data set. See `bind` for the arguments and the errors."""
    examples, *shape = dataset.train.image.shape
    counts = None
    if config.loss.class_weights == "balanced":
        counts = np.bincount(np.asarray(dataset.train.label).reshape(-1), minlength=len(dataset.classes))
    bound = bind(
        config,
        examples=examples,
        shape=tuple(shape),
        classes=len(dataset.classes),
        mean=dataset.mean,
        std=dataset.std,
        devices=devices,
        counts=counts,
        seed_groups=seed_groups,
        injected=injected,
    )
    by_class = None
    if config.data.balanced:
        by_class = balanced.group(np.asarray(dataset.train.label), len(dataset.classes))
    return Run(**vars(bound), dataset=dataset, by_class=by_class)


def compile_training(run: Run) -> tuple[Programs, float]:
    """Compiles every program of training for the run's own shapes; returns them, and the seconds it took.

    Each program is compiled (or read from the cache) in its own thread, while the next one is traced.
    """
    start = time.perf_counter()
    scalar, seeds, state = jnp.int32(0), run.seed_array(), run.state_shapes()
    training, validation = (shapes(getattr(run.dataset, s), run.sharding) for s in ("train", "validation"))
    order = shapes(jax.eval_shape(run.programs.order, *run.order_arguments(0)), run.sharding)
    if run.plan.stream:
        steps: dict[str, tuple] = {"stream": (state, _batch_shapes(run), scalar)}
    else:
        steps = {"steps": (state, training, order, scalar)}
    arguments = {  # the slowest to compile first
        **steps,
        "predict": (state.params, state.model_state, validation),
        "init": (seeds,),
        "order": run.order_arguments(0),
        "end_epoch": (state, jax.ShapeDtypeStruct(seeds.shape, jnp.float32)),
    }
    pool = ThreadPoolExecutor(len(arguments))
    try:
        compiling = {
            name: pool.submit(getattr(run.programs, name).lower(*values).compile) for name, values in arguments.items()
        }
        programs = run.programs._replace(**{name: future.result() for name, future in compiling.items()})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # so that a signal need not wait for them
    return programs, time.perf_counter() - start


def _batch_shapes(run: Run) -> Arrays:
    """The shapes of a dispatch's batches that are streamed from disk: [S, W, B, ...]."""
    placed = sharding.batches_over_data(run.sharding)
    leading = (len(run.seeds), run.plan.steps_per_dispatch, run.plan.batch_size)
    return Arrays(
        *(jax.ShapeDtypeStruct((*leading, *x.shape[1:]), x.dtype, sharding=placed) for x in run.dataset.train)
    )


def shapes(tree: Tree, sharding: jax.sharding.Sharding) -> Tree:
    """Returns the shapes and dtypes of a tree of arrays, with `sharding`."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def on_device(run: Run, arrays: Arrays) -> Arrays:
    """Puts a split on every device of the run, once."""
    return jax.device_put(Arrays(np.asarray(arrays.image), np.asarray(arrays.label)), run.sharding)
