"""Matrix product of a layer; on CPU its gradient has the same bits for any number of threads from two to eight.

XLA on CPU computes a layer's output, and the gradient of its input, in one order of additions, whatever the number of
threads (but for one thread). The gradient of its kernel is a sum over thousands of rows, which Eigen cuts into as many
parts as there are threads where it deems the product large enough (`shardByInnerDim` of its tensor contraction). Here
it is cut before, into pieces too small for that, and their sums are added in one order.

Kernels of `WIDE` numbers and more are left to Eigen: their pieces would be short and slow, and it shares out the
kernel instead of the rows (but for some of 16,384 to 20,000 numbers at eight threads).
"""

from __future__ import annotations

from functools import partial
from math import gcd

import jax
import jax.numpy as jnp
from jax import lax

PIECE = 800_000  # multiply-adds of a piece; Eigen cuts from about 900,000 on (measured over 1,800 shapes)
NARROW = 16  # inputs or outputs; a product with fewer costs twice as much in the model by which Eigen decides
WIDE = 16_384  # numbers of a kernel
DEVICES = 8  # that may share the rows: each has whole pieces


def pieces(rows: int, inputs: int, outputs: int) -> int:
    """Returns into how many equal pieces the rows of a kernel's gradient are cut; 1 where no number is fit."""
    size, most = inputs * outputs, PIECE if min(inputs, outputs) >= NARROW else PIECE // 2
    if size >= WIDE or rows * size <= most:
        return 1
    least = -(-rows * size // most)
    step = gcd(rows, DEVICES)
    return next((n for n in range(-(-least // step) * step, 2 * least + step, step) if rows % n == 0), 1)


def matmul(rows: jax.Array, kernel: jax.Array, precision=None) -> jax.Array:
    """Multiplies rows [R, m] by a kernel [m, n] to [R, n]."""
    if jax.default_backend() != "cpu":
        return jnp.dot(rows, kernel, precision=precision)
    return _matmul(rows, kernel, precision)


def dot_general(lhs, rhs, dimension_numbers, precision=None, preferred_element_type=None) -> jax.Array:
    """`lax.dot_general` for `flax.linen.Dense`: [..., m] times [m, n] to [..., n] by `matmul`; the rest as it is."""
    last_by_first = (((lhs.ndim - 1,), (0,)), ((), ()))
    if rhs.ndim != 2 or preferred_element_type is not None or _as_tuples(dimension_numbers) != last_by_first:
        return lax.dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)
    return matmul(lhs.reshape(-1, lhs.shape[-1]), rhs, precision).reshape(*lhs.shape[:-1], rhs.shape[-1])


def _as_tuples(numbers) -> tuple:
    return tuple(tuple(tuple(axes) for axes in pair) for pair in numbers)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _matmul(rows: jax.Array, kernel: jax.Array, precision) -> jax.Array:
    return jnp.dot(rows, kernel, precision=precision)


def _forward(rows: jax.Array, kernel: jax.Array, precision):
    return _matmul(rows, kernel, precision), (rows, kernel)


def _backward(precision, kept, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    rows, kernel = kept
    of_rows = jnp.dot(gradient, kernel.T, precision=precision)
    count = pieces(len(rows), *kernel.shape)
    if count == 1:
        return of_rows, jnp.dot(rows.T, gradient, precision=precision)
    a, b = (x.reshape(count, -1, x.shape[-1]) for x in (rows, gradient))
    exact = jnp.float64 if kernel.dtype == jnp.float64 else jnp.float32  # not bfloat16
    sums = jnp.einsum("prm,prn->pnm", a, b, precision=precision, preferred_element_type=exact)  # nm: faster than mn
    return of_rows, sums.sum(0).T.astype(kernel.dtype)


_matmul.defvjp(_forward, _backward)
