"""The compiled programs of a run: the steps with a seed axis, jitted and placed on the mesh."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from hwr_jax.core.types import Arrays, Tree
from hwr_jax.distributed import sharding
from hwr_jax.steps import predict_step, scratch, train_step
from hwr_jax.steps.recipe import Recipe

MOST_CONSTANTS = 2**20  # numbers: a compiled program, in memory and in the cache, holds that many of a model's weights


def over_seeds(function: Callable, how: str, *, axis: str | None = "seed") -> Callable:
    """Gives `function` a leading seed axis on every argument and result.

    Args:
      function: of one seed's arrays.
      how: 'map': one seed after the other in one program (equal to single runs to the bit), 'vmap': all at once.
      axis: of the mesh, over which the seeds of 'vmap' may lie; None inside a group of devices.
    """
    if how == "vmap":
        return jax.vmap(function, spmd_axis_name=axis)
    return lambda *per_seed: lax.map(lambda args: function(*args), per_seed)


def seeds_mode(over_seeds: str) -> str:
    """Resolves 'auto': 'map' on CPU, where vmap over convolutions is slow, 'vmap' on accelerators."""
    if over_seeds != "auto":
        return over_seeds
    return "map" if jax.default_backend() == "cpu" else "vmap"


class Programs(NamedTuple):
    """Jitted (or compiled) functions of arrays with a leading seed axis [S]; the images are shared by the seeds."""

    init: Any  # (seed int32 [S]) -> TrainState
    order: Any  # (seed int32 [S], epoch, ByClass or nothing) -> int32 [S, steps, B]
    steps: Any  # (donated state, training Arrays, order, count) -> TrainState
    stream: Any  # (donated state, batches [S, W, B, ...], count) -> TrainState: `steps` for data streamed from disk
    end_epoch: Any  # (donated state, validation accuracy float32 [S]) -> TrainState
    predict: Any  # (params, model_state, Arrays) -> Outputs [S, N, ...]


def _even_batch(examples: int, limit: int, *, devices: int) -> int:
    """Returns the size of the batches that `examples` are cut into: all of one size, with as little padding as can be.

    It is at most `limit`, rounded up to a multiple of `devices`.
    """
    batches = -(-examples // limit)
    size = -(-examples // batches)
    return -(-size // devices) * devices


def make_programs(recipe: Recipe, mesh: Mesh, *, how: str, examples: int, shape: tuple, eval_batch: int) -> Programs:
    """Jits the steps for a mesh.

    Args:
      recipe: the run's functions.
      mesh: see `sharding.make_mesh`.
      how: 'map' or 'vmap' (see `over_seeds`).
      examples: training images.
      shape: H, W, C.
      eval_batch: images per evaluation batch; rounded up to a multiple of a group's devices.
    """
    place = sharding.over_data(mesh)
    grouped = mesh.shape["seed"] > 1

    def for_each_seed(step, *per_seed, shared=()):
        """Calls `step(*per_seed, *shared)` for each seed; the arguments in `per_seed` have a leading seed axis."""

        def all_seeds(shared, *per_seed):
            one_seed = over_seeds(lambda *args: step(*args, *shared), how, axis=None if grouped else "seed")
            return one_seed(*per_seed)

        if not grouped:
            return all_seeds(shared, *per_seed)
        # Each group of devices trains its own seeds; the groups exchange nothing before the end of the dispatch.
        by_seed, replicated = PartitionSpec("seed"), PartitionSpec()
        in_specs = (replicated, *[by_seed for _ in per_seed])
        split = jax.shard_map(
            all_seeds, mesh=mesh, in_specs=in_specs, out_specs=by_seed, axis_names={"seed"}, check_vma=False
        )
        return split(shared, *per_seed)

    def init(seed):
        return for_each_seed(lambda seed: train_step.init_state(recipe, seed, shape), seed)

    def order(seed, epoch, by_class=None):
        def rows(seed, epoch, by_class):
            return train_step.epoch_order(recipe, seed, epoch, examples, by_class)

        return for_each_seed(rows, seed, shared=(epoch, by_class))

    def run(state, arrays, order, count):
        def steps(state, order, arrays, count):
            return train_step.train_steps(recipe, state, arrays, order, count, place=place)

        return for_each_seed(steps, state, order, shared=(arrays, count))

    def stream(state, batches, count):
        def steps(state, batches, count):
            return train_step.train_steps(recipe, state, batches, None, count, place=place)

        return for_each_seed(steps, state, batches, shared=(count,))

    def end_epoch(state, accuracy):
        return for_each_seed(functools.partial(train_step.end_epoch, recipe), state, accuracy)

    def predict(params, model_state, arrays):
        batch_size = _even_batch(arrays.label.shape[0], eval_batch, devices=mesh.shape["data"])
        batches = functools.partial(predict_step.predict, recipe, batch_size=batch_size, place=place)
        return for_each_seed(batches, params, model_state, shared=(arrays,))

    whole = sharding.replicated(mesh)
    # It runs once, so on CPU we compile it without optimisation, which would take a quarter of all compilation time.
    unoptimised = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    programs = Programs(
        init=jax.jit(init, out_shardings=whole, compiler_options=unoptimised),
        order=jax.jit(order, out_shardings=whole),
        steps=jax.jit(run, donate_argnums=0, out_shardings=whole),
        stream=jax.jit(stream, donate_argnums=0, out_shardings=whole),
        end_epoch=jax.jit(end_epoch, donate_argnums=0, out_shardings=whole),
        predict=jax.jit(predict, out_shardings=whole),
    )
    return programs if recipe.scratch is None else programs._replace(**scratch.make(recipe))


def reader(
    programs: Programs, params: Tree, model_state: Tree, *, strings: bool
) -> Callable[[np.ndarray | jax.Array], jax.Array]:
    """Returns a function of images uint8 [N, H, W, 1] that gives the probabilities `Outputs.prob` of each seed, for
    weights that stay the same.

    On CPU the weights are constants of its compiled programs, unless they are many: calling a program takes longer with
    each argument, and a few images take little else.

    Args:
      programs: of the run.
      params, model_state: with a leading seed axis.
      strings: whether the model reads strings.
    """

    def read(params, model_state, image):
        label = jnp.zeros((len(image), 1) if strings else len(image), jnp.int32)  # only the loss needs them
        return programs.predict(params, model_state, Arrays(image, label)).prob

    if isinstance(programs.predict, scratch.Eager):
        return lambda image: read(params, model_state, image)
    numbers = sum(x.size for x in jax.tree.leaves((params, model_state)))
    if jax.default_backend() != "cpu" or numbers > MOST_CONSTANTS:
        with_weights = jax.jit(read)
        return lambda image: with_weights(params, model_state, image)
    return jax.jit(lambda image: read(params, model_state, image))
