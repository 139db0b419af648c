"""The products of a transformer's tokens with weights: XLA's own, or with the gradients of the weights by our kernel.

Both have the same parameters, under the same names and with the same initial values.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn

from hwr_jax.models import product
from hwr_jax.models.kernels import calls, dense

CHOICES = ("auto", "plain", "compiled")
PRODUCTS = {"plain": product.dot_general, "compiled": dense.dot_general}


def chosen(name: str, *, train: bool, precision: str = "float32") -> str:
    """Returns how products are computed here, 'plain' or 'compiled': 'auto' is 'compiled' to train on a CPU, in float32
    and where the kernel can be built, else 'plain'. Without gradients both are the same.

    Raises:
      ConfigError: 'compiled' to train, and this machine has no such kernel; the sentence says why.
    """
    if not train:
        return "plain"
    if name == "auto":
        return "compiled" if calls.fit(precision) else "plain"
    if name == "compiled" and not calls.available():
        raise calls.refusal("products", "auto or plain")
    return name


def dense_layer(how: str) -> partial[nn.Dense]:
    """Returns Flax's dense layer with products by `how`, 'plain' or 'compiled'."""
    return partial(nn.Dense, dot_general=PRODUCTS[how])


def attention(how: str) -> partial[nn.MultiHeadDotProductAttention]:
    """Returns Flax's attention with products by `how` for queries, keys, values and its output."""
    return partial(nn.MultiHeadDotProductAttention, qkv_dot_general=PRODUCTS[how], out_dot_general=PRODUCTS[how])
