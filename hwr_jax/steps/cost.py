"""The cost of a training step: FLOPs and bytes, counted by XLA before it fuses operations, and after."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.extend
import numpy as np
from jax.interpreters import partial_eval

from hwr_jax.core.types import Arrays, TrainState
from hwr_jax.models.kernels import convolution, recurrent
from hwr_jax.steps import train_step
from hwr_jax.steps.recipe import Recipe


class StepCost(NamedTuple):
    """The cost of a training step by XLA's own analysis; None where the device's compiler has none."""

    flops_per_image: float | None
    flops_per_byte: float | None  # of the program as it is written: each operation reads and writes memory
    fused_flops_per_byte: float | None  # of the compiled program, whose fused operations pass values on in registers


def step_cost(recipe: Recipe, state: TrainState, training: Arrays, *, compiled: bool = False) -> StepCost:
    """Analyses a training step of one seed.

    Args:
      recipe: the run's functions.
      state: with a leading seed axis; shapes are enough.
      training: the examples; shapes are enough.
      compiled: also compile the step, which takes seconds, for `fused_flops_per_byte`; otherwise that is None.
    """
    if recipe.scratch is not None:  # NumPy, not XLA
        return StepCost(None, None, None)

    step = functools.partial(train_step.train_step, recipe)
    batch = recipe.batch_size
    rows = Arrays(*(jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype) for x in training))
    one_seed = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state)
    flops, before, after = (float(x) or None for x in _cost(jax.make_jaxpr(step)(one_seed, rows), compiled))
    per_byte = [flops and moved and flops / moved for moved in (before, after)]
    return StepCost(flops and flops / batch, *per_byte)


def _cost(closed: Any, compiled: bool) -> np.ndarray:
    """FLOPs, bytes, and bytes after fusion (0 unless `compiled`) of a closed jaxpr, float64 [3].

    XLA counts the body of a loop once; here a scan's body counts as often as it runs. XLA cannot see into our compiled
    kernels: their operations are counted by their definition. FLOPs are those before fusion, which may compute a
    value twice.
    """
    needed, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    program = jax.jit(jax.extend.core.jaxpr_as_fun(closed))
    with jax.default_device(_counts()):
        as_written = program.lower(*closed.in_avals).cost_analysis() or {}
    fused = (program.lower(*closed.in_avals).compile().cost_analysis() or {}) if compiled else {}
    moved = [analysis.get("bytes accessed") or 0.0 for analysis in (as_written, fused)]
    cost = np.array([as_written.get("flops") or 0.0, *moved])
    kernels = (convolution.flops, recurrent.flops)
    cost[0] += sum(flops(equation) for equation in _equations(needed, into_scans=True) for flops in kernels)
    for equation in _equations(needed, into_scans=False):
        if equation.primitive.name == "scan":
            cost += (equation.params["length"] - 1) * _cost(equation.params["jaxpr"], compiled)
    return cost


def _counts() -> jax.Device | None:
    """Returns where XLA counts a program that is not compiled: the CPU, as it cannot for a GPU or TPU (jax 0.11)."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS leaves the CPU out
        return None


def _equations(jaxpr: Any, *, into_scans: bool) -> Iterator[Any]:
    """Yields the equations of a jaxpr at any depth, those of a scan's body only `into_scans`."""
    for equation in jaxpr.eqns:
        yield equation
        if equation.primitive.name == "scan" and not into_scans:
            continue
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from _equations(getattr(inner, "jaxpr", inner), into_scans=into_scans)
