"""Recurrent layers over whole sequences as JAX functions, with their gradients: LSTM, GRU and the simple cell, in
one or two directions.

XLA runs such a layer as a loop over the steps, whose small products and copies of what each step keeps cost more than
the arithmetic. The kernel takes some examples through all steps at once, and its sums have one order for any number of
threads.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax.models.kernels import calls
from hwr_jax.models.kernels.reference import GATES

CELLS = tuple(GATES)  # in the kernel's order
MULTIPLE = 16  # of the width: the kernel has whole vectors on every machine


def read(x: jax.Array, inputs: jax.Array, state: jax.Array, bias: jax.Array, *, cell: str) -> jax.Array:
    """Reads sequences from a state of zeros, in D directions: the first forwards, the second backwards.

    Args:
      x: float32 [B, T, C].
      inputs: kernels of the inputs [D, C, blocks, H], the blocks in the order of `reference.OF_INPUTS`.
      state: kernels of the state [D, H, blocks, H], in the order of `reference.OF_STATE`.
      bias: [D, blocks, H], in the order of `reference.GATES`.
      cell: one of `CELLS`.

    Returns:
      The outputs, [B, T, D, H], in the order of x.

    Raises:
      NotImplementedError: another dtype than float32.
      RuntimeError: this machine cannot build the kernel (see `calls.available`).
    """
    if any(a.dtype != jnp.float32 for a in (x, inputs, state, bias)):
        raise NotImplementedError(f"the compiled recurrent layer takes float32, not {x.dtype}")
    width = bias.shape[-1]
    missing = -width % MULTIPLE  # a unit of zeros stays zero

    def flat(a: jax.Array, rows: int = 0) -> jax.Array:
        wide = jnp.pad(a, ((0, 0), *(((0, rows),) if a.ndim == 4 else ()), (0, 0), (0, missing)))
        return wide.reshape(*wide.shape[:-2], -1)

    out = _read(x, flat(inputs), flat(state, missing), flat(bias), cell)
    return out[..., :width]


def _forward(x, inputs, state, bias, cell, kept: bool):
    return tuple(a[0] for a in _reader(cell, kept)(*(a[None] for a in (x, inputs, state, bias))))


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _read(x, inputs, state, bias, cell):
    return _forward(x, inputs, state, bias, cell, False)[0]


def _keeping(x, inputs, state, bias, cell):
    wanted = x.perturbed
    x, inputs, state, bias = (a.value for a in (x, inputs, state, bias))
    out, gates, memory = _forward(x, inputs, state, bias, cell, True)
    return out, (x, inputs, state, out, gates, memory, wanted)


def _backward(cell, kept, gradient):
    x, inputs, state, out, gates, memory, wanted = kept
    if isinstance(gradient, jax.custom_derivatives.SymbolicZero):
        gradient = jnp.zeros(gradient.shape, gradient.dtype)
    run = _learner(cell, wanted)
    of_x, *others = (a[0] for a in run(*(a[None] for a in (x, inputs, state, out, gates, memory, gradient))))
    return of_x.sum(1) if wanted else jnp.zeros_like(x), *others


_read.defvjp(_keeping, _backward, symbolic_zeros=True)


@functools.cache
def _reader(cell: str, kept: bool) -> Callable:
    """Returns the kernel as a function of x, the factors and the bias, [S, ...] -> output, gates, memory."""

    def call(x, inputs, state, bias):
        seeds, batch, steps, _ = x.shape
        directions, width = state.shape[1:3]
        shapes = (
            (seeds, batch, steps, directions, width),
            (seeds, batch, directions, steps * kept, bias.shape[-1]),
            (seeds, batch, directions, steps * (kept and cell == "lstm"), width),
        )
        results = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
        return tuple(jax.ffi.ffi_call(calls.READ, results)(x, inputs, state, bias, cell=np.int64(CELLS.index(cell))))

    rule = "s b t c, s d c k, s d h k, s d g -> s b t d h, s b d u g, s b d v h"
    return calls.spread(call, rule, (True, False, False, False), (True, True, True))


@functools.cache
def _learner(cell: str, wanted: bool) -> Callable:
    """Returns the kernel of the gradients of x (no steps unless `wanted`), the factors and the bias."""

    def call(x, inputs, state, out, gates, memory, gradient):
        seeds, batch, steps, values = x.shape
        directions = state.shape[1]
        shapes = (
            (seeds, batch, directions, steps * wanted, values),
            inputs.shape,
            state.shape,
            (seeds, directions, gates.shape[-1]),
        )
        results = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
        run = jax.ffi.ffi_call(calls.READ_BACK, results)
        return tuple(run(x, inputs, state, out, gates, memory, gradient, cell=np.int64(CELLS.index(cell))))

    rule = "s b t c, s d c k, s d h k, s b t d h, s b d t g, s b d v h, s b t d h -> s b d u c, s d c k, s d h k, s d g"
    return calls.spread(call, rule, (True, False, False, True, True, True, True), (True, False, False, False))


def flops(equation: Any) -> int:
    """Returns the floating-point operations of an equation of a jaxpr, if it calls the kernel; of any other, 0.

    They are those of the products alone, two for each, of a width that is a multiple of `MULTIPLE`.
    """
    if equation.primitive.name != "ffi_call" or equation.params["target_name"] not in (calls.READ, calls.READ_BACK):
        return 0
    x, inputs, state = (v.aval.shape for v in equation.invars[:3])
    examples = 2 * x[1]  # a product is two operations
    of_inputs, of_state = examples * x[2] * math.prod(inputs), examples * (x[2] - 1) * math.prod(state)
    if equation.params["target_name"] == calls.READ:
        return of_inputs + of_state
    wanted = equation.outvars[0].aval.size > 0
    return (1 + wanted) * of_inputs + 2 * of_state
