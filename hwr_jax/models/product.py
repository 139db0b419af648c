"""Matrix product of a layer; on CPU its gradient has the same bits for any number of threads from two to eight.

XLA on CPU adds up a layer's output, and the gradient of its input, in the same order for any number of threads above
one. The gradient of its kernel is a sum over thousands of rows, and if the product is large enough Eigen cuts that sum
into one part per thread (`shardByInnerDim` of its tensor contraction). This module cuts it first, into pieces too small
for Eigen to cut again, and adds their sums in one order.

Where Eigen cuts was measured in float32 with jaxlib 0.10.2 (see experiments/LOG.md). Two limits: forward-mode
derivatives (`jax.jvp`) of the product are not defined on CPU, and if the number of devices does not divide 8, XLA moves
rows between them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import gcd, prod

import jax
import jax.numpy as jnp
from jax import lax

PIECE = 800_000  # multiply-adds; Eigen cuts from about 900,000 on
NARROW = 16  # inputs or outputs; with fewer, Eigen cuts from half of that on
WIDE = 20_480  # numbers in a kernel; from here on, up to eight threads share out the kernel, not the rows
DEVICES = 8  # the most that may share the rows; each gets whole pieces


def pieces(rows: int, inputs: int, outputs: int) -> int:
    """Returns into how many pieces to cut the sum over the rows of a kernel's gradient.

    This is a divisor of `rows` if there is one not far above the least number that keeps each piece below the limit.
    """
    size, limit = inputs * outputs, PIECE if min(inputs, outputs) >= NARROW else PIECE // 2
    if size >= WIDE or rows * size <= limit:
        return 1
    step = gcd(rows, DEVICES)
    least = -(-rows // (limit // size * step)) * step
    return next((count for count in range(least, 4 * least, step) if rows % count == 0), least)


def matmul(rows: jax.Array, kernel: jax.Array, precision=None) -> jax.Array:
    """Multiplies rows [R, m] by a kernel [m, n] to [R, n]."""
    if jax.default_backend() != "cpu":
        return jnp.dot(rows, kernel, precision=precision)
    return _matmul(rows, kernel, precision)


def dot_general(
    lhs, rhs, dimension_numbers, precision=None, preferred_element_type=None, *, multiply: Callable | None = None
) -> jax.Array:
    """`jax.lax.dot_general` for Flax's layers: lhs [..., m] times rhs [m, ...]; m may be several axes.

    multiply: of lhs [..., m], rhs [m, n] and the precision; default: `matmul` of all rows.
    """
    (of_lhs, of_rhs), batch = (tuple(map(tuple, pair)) for pair in dimension_numbers)
    count = len(of_rhs)
    layer = of_lhs == tuple(range(lhs.ndim - count, lhs.ndim)) and of_rhs == tuple(range(count)) and batch == ((), ())
    if not layer or preferred_element_type is not None:
        return lax.dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)
    inputs, free, features = prod(rhs.shape[:count]), lhs.shape[: lhs.ndim - count], rhs.shape[count:]
    kernel = rhs.reshape(inputs, prod(features))
    if multiply is None:
        out = matmul(lhs.reshape(prod(free), inputs), kernel, precision)
    else:
        out = multiply(lhs.reshape(*free, inputs), kernel, precision)
    return out.reshape(*free, *features)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _matmul(rows: jax.Array, kernel: jax.Array, precision) -> jax.Array:
    return jnp.dot(rows, kernel, precision=precision)


def _forward(rows: jax.Array, kernel: jax.Array, precision):
    return jnp.dot(rows, kernel, precision=precision), (rows, kernel)


def _backward(precision, kept, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    rows, kernel = kept
    of_rows = jnp.dot(gradient, kernel.T, precision=precision)
    count = pieces(len(rows), *kernel.shape)
    if count == 1:
        return of_rows, jnp.dot(rows.T, gradient, precision=precision)
    a, b = (_cut(x, count) for x in (rows, gradient))
    sum_dtype = jnp.float64 if kernel.dtype == jnp.float64 else jnp.float32  # of bfloat16 too
    # [n, m] before transposing: computing [m, n] directly is slower.
    sums = jnp.einsum("prm,prn->pnm", a, b, precision=precision, preferred_element_type=sum_dtype)
    return of_rows, sums.sum(0).T.astype(kernel.dtype)


def _cut(x: jax.Array, count: int) -> jax.Array:
    """[R, n] -> [count, rows of a piece, n]; padded with rows of zeros if `count` does not divide R."""
    missing = -len(x) % count
    return jnp.pad(x, ((0, missing), (0, 0))).reshape(count, -1, x.shape[-1])


_matmul.defvjp(_forward, _backward)
