"""The two functions of batch normalisation (Ioffe & Szegedy 2015) that sum over the batch, with their gradients.

XLA on CPU computes such sums in passes of their own over each image; the kernel needs one pass for both sums. What is
left, multiplications and additions of single values, XLA fuses with what is around it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from hwr_jax.models.kernels import calls

RULE = "s b p c, s b p c, s c -> s c, s c"  # S independent sums (seeds), B images of P positions, C channels


@jax.custom_vjp
def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the means of x and of its square over all axes but the last: float32 [B, ..., C] -> [C], [C]."""
    total, squares = _sums(x, x, jnp.zeros(x.shape[-1], jnp.float32))
    count = math.prod(x.shape[:-1])
    return total / count, squares / count


def _moments_forward(x):
    return moments(x), x


def _moments_backward(x, gradients):
    of_mean, of_squares = (_beside(g, x) for g in gradients)
    return ((of_mean + 2 * of_squares * x) / math.prod(x.shape[:-1]),)


moments.defvjp(_moments_forward, _moments_backward)


def standardise(x: jax.Array, mean: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """Returns (x - mean) * scale + bias: float32 [B, ..., C], three of [C] -> [B, ..., C]."""
    return _standardise(x, *(calls.varying_as(v, x) for v in (mean, scale, bias)))


@jax.custom_vjp
def _standardise(x, mean, scale, bias):
    mean, scale, bias = (_beside(v, x) for v in (mean, scale, bias))
    return (x - mean) * scale + bias


def _standardise_forward(x, mean, scale, bias):
    return _standardise(x, mean, scale, bias), (x, mean, scale)


def _standardise_backward(kept, gradient):
    x, mean, scale = kept
    of_bias, of_scale = _sums(gradient, x, mean)
    return gradient * _beside(scale, x), -of_bias * scale, of_scale, of_bias


_standardise.defvjp(_standardise_forward, _standardise_backward)


def _beside(values: jax.Array, x: jax.Array) -> jax.Array:
    """[C] -> [1, ..., 1, C], with as many axes as x."""
    return values.reshape((1,) * (x.ndim - 1) + values.shape)


def _sums(a: jax.Array, b: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the sums of a and of a * (b - shift) over all axes but the last: float32 [B, ..., C] -> [C], [C]."""
    shape = (1, a.shape[0], math.prod(a.shape[1:-1]), a.shape[-1])
    total, product = _kernel()(a.reshape(shape), b.reshape(shape), shift[None])
    return total[0], product[0]


@functools.cache
def _kernel() -> Callable:
    def call(a: jax.Array, b: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        sums = jax.ShapeDtypeStruct(shift.shape, jnp.float32)
        total, product = jax.ffi.ffi_call(calls.SUMS, (sums, sums))(a, b, shift)
        return total, product

    return calls.spread(call, RULE, (True, True, False), (False, False))
