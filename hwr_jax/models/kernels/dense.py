"""The product of a dense layer, the gradient of whose weights our compiled kernel computes.

That gradient is a sum over all rows. XLA's own depends on the number of threads, unless it is cut into pieces that are
added up afterwards (`models.product`); the kernel's has one order, and needs no pieces. The product itself and the
gradient of its input are XLA's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hwr_jax.models import product
from hwr_jax.models.kernels import convolution


def dot_general(lhs, rhs, dimension_numbers, precision=None, preferred_element_type=None) -> jax.Array:
    """`jax.lax.dot_general` for Flax's layers in float32, as `product.dot_general`."""
    return product.dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type, multiply=matmul)


def matmul(x: jax.Array, kernel: jax.Array, precision=None) -> jax.Array:
    """Multiplies x [B, ..., m] by a kernel [m, n] to [B, ..., n], float32.

    `precision` has no meaning here: float32 is float32.

    Raises:
      RuntimeError: this machine cannot build the kernels (see `calls.available`).
    """
    rows = x.reshape(-1, x.shape[-1])
    if product.pieces(len(rows), *kernel.shape) == 1:
        out = product.matmul(rows, kernel, precision)
    else:
        out = _matmul(x.reshape(len(x), -1, x.shape[-1]), kernel)
    return out.reshape(*x.shape[:-1], kernel.shape[-1])


@jax.custom_vjp
def _matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [B, P, m], kernel [m, n] -> [B, P, n]."""
    return jnp.dot(x, kernel)


def _forward(x, kernel):
    return _matmul(x, kernel), (x, kernel)


def _backward(kept, gradient):
    x, kernel = kept
    return jnp.dot(gradient, kernel.T), convolution.of_pixels(x, gradient)


_matmul.defvjp(_forward, _backward)
