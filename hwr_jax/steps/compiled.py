"""The compiled programs of a run: the steps with a seed axis, jitted and placed on the mesh. Owns compilation."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.extend
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from hwr_jax.core.types import Arrays, TrainState
from hwr_jax.distributed import sharding
from hwr_jax.steps import scratch
from hwr_jax.steps import train_step as steps
from hwr_jax.steps.recipe import Recipe

UNREADABLE = r"Error reading persistent compilation cache entry for '([\w.<>-]+)':"  # JAX's warning


def cache_compilations(cache_dir: Path) -> None:
    """Keeps compiled programs in `cache_dir`/xla/<kind of processor>, so that a second start does not compile.

    An entry that a kill has cut short is removed when it is read, for JAX would keep it and warn at every start.
    """
    folder = cache_dir / "xla" / hashlib.sha256(_processor().encode()).hexdigest()[:12]
    jax.config.update("jax_compilation_cache_dir", str(folder))
    show: Callable[..., None] = warnings.showwarning

    def remove_unreadable(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        if unreadable := re.match(UNREADABLE, str(message)):
            for entry in folder.glob(f"{unreadable[1]}-*"):
                entry.unlink(missing_ok=True)
        else:
            show(message, *args, **kwargs)

    warnings.showwarning = remove_unreadable  # ty: ignore[invalid-assignment]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _processor() -> str:
    # A program compiled for one processor's instructions may crash on another (a home folder shared by machines).
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(line for line in first if line.startswith(("model name", "flags", "Features", "CPU part")))
    except OSError:
        return f"{platform.machine()} {platform.processor()} {os.name}"


def over_seeds(function: Callable, how: str, *, axis: str | None = "seed") -> Callable:
    """Gives `function` a leading seed axis on every argument and result.

    Args:
      function: of one seed's arrays.
      how: 'map': one seed after the other in one program (equal to single runs to the bit), 'vmap': all at once.
      axis: of the mesh, over which the seeds of 'vmap' may lie; None within a group of devices, where it is taken.
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
    order: Any  # (seed int32 [S], epoch) -> int32 [S, steps, B]
    steps: Any  # (donated state, training Arrays, order, count) -> TrainState
    stream: Any  # (donated state, batches [S, W, B, ...], count) -> TrainState: `steps` for data that is read meanwhile
    end_epoch: Any  # (donated state, validation accuracy float32 [S]) -> TrainState
    predict: Any  # (params, model_state, Arrays) -> Outputs [S, N, ...]


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

    def seeds(function, *per_seed, shared=()):
        grouped = mesh.shape["seed"] > 1

        def every(shared, *per_seed):
            one_seed = over_seeds(lambda *one: function(*one, *shared), how, axis=None if grouped else "seed")
            return one_seed(*per_seed)

        if not grouped:
            return every(shared, *per_seed)
        # Each group of devices trains its own seeds, and hears nothing of the others' before the end of the dispatch.
        of_group = PartitionSpec("seed")
        specs = (PartitionSpec(), *[of_group for _ in per_seed])
        split = jax.shard_map(
            every, mesh=mesh, in_specs=specs, out_specs=of_group, axis_names={"seed"}, check_vma=False
        )
        return split(shared, *per_seed)

    def init(seed):
        return seeds(lambda s: steps.init_state(recipe, s, shape), seed)

    def order(seed, epoch):
        return seeds(lambda s, e: steps.epoch_order(recipe, s, e, examples), seed, shared=(epoch,))

    def run(state, arrays, order, count):
        def one(state, order, arrays, count):
            return steps.train_steps(recipe, state, arrays, order, count, place=place)

        return seeds(one, state, order, shared=(arrays, count))

    def stream(state, batches, count):
        def one(state, batches, count):
            return steps.train_steps(recipe, state, batches, None, count, place=place)

        return seeds(one, state, batches, shared=(count,))

    def end_epoch(state, accuracy):
        return seeds(lambda s, a: steps.end_epoch(recipe, s, a), state, accuracy)

    def predict(params, model_state, arrays):
        wanted = min(eval_batch, arrays.label.shape[0])  # a few images do not pay for a whole batch
        batch_size = -(-wanted // mesh.shape["data"]) * mesh.shape["data"]

        def one(params, model_state, arrays):
            return steps.predict(recipe, params, model_state, arrays, batch_size=batch_size, place=place)

        return seeds(one, params, model_state, shared=(arrays,))

    whole = sharding.replicated(mesh)
    # Runs once, so it is compiled quickly rather than well: a quarter of all compilation otherwise (on CPU).
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


class StepCost(NamedTuple):
    """What a training step costs by XLA's own analysis; None where the device's compiler gives none."""

    flops_per_image: float | None
    flops_per_byte: float | None  # before fusion: a lower bound of the arithmetic intensity


def step_cost(recipe: Recipe, state: TrainState, training: Arrays) -> StepCost:
    """Analyses a training step of one seed.

    Args:
      recipe: the run's functions.
      state: with a leading seed axis; shapes are enough.
      training: the examples; shapes are enough.
    """
    if recipe.scratch is not None:  # not XLA's
        return StepCost(None, None)

    def step(state, rows):
        return steps.train_step(recipe, state, rows)

    batch = recipe.batch_size
    rows = Arrays(*(jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype) for x in training))
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state)
    flops, moved = _cost(jax.make_jaxpr(step)(one, rows))
    return StepCost(flops and flops / batch, flops and moved and flops / moved)


def _cost(closed: Any) -> tuple[float, float]:
    """FLOPs and bytes of a closed jaxpr by XLA's analysis, which counts the body of a loop once: a scan's is counted
    here as often as it runs."""
    analysis = jax.jit(jax.extend.core.jaxpr_as_fun(closed)).lower(*closed.in_avals).cost_analysis() or {}
    flops, moved = analysis.get("flops") or 0.0, analysis.get("bytes accessed") or 0.0
    for body, more in _scans(closed.jaxpr):
        of_body = _cost(body)
        flops, moved = flops + more * of_body[0], moved + more * of_body[1]
    return flops, moved


def _scans(jaxpr: Any) -> Iterator[tuple[Any, int]]:
    """Yields the body of each scan, at any depth but inside of another scan, and how often more than once it runs."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation.params["jaxpr"], equation.params["length"] - 1
            continue
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from _scans(getattr(inner, "jaxpr", inner))
