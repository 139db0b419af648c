"""A small vision transformer."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.models.layers import Attention, Dense, Dropout, as_logits


class ViT(nn.Module):
    """Patches as tokens and pre-norm transformer layers (Dosovitskiy et al. 2021), classified by the tokens' mean.

    Attributes:
      classes: K.
      patch_px: side of a patch, pixels.
      width: of a token.
      layers: of attention and MLP (four times as wide as a token).
      heads: of attention.
      dropout: rate of what each layer adds to the tokens.
      activation, kernel_init: functions (see `layers`).
      dtype: of what the layers compute; the parameters and the logits are float32.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    classes: int
    patch_px: int
    width: int
    layers: int
    heads: int
    dropout: float
    activation: Callable
    kernel_init: Callable
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, K]."""
        b, h, w, c = image.shape
        side = self.patch_px
        x = image.astype(self.dtype).reshape(b, h // side, side, w // side, side, c)
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(b, (h // side) * (w // side), side * side * c)
        x = Dense(self.width, kernel_init=self.kernel_init, dtype=self.dtype)(x)
        x = x + self.param("position", nn.initializers.normal(0.02), (1, *x.shape[1:])).astype(self.dtype)
        for _ in range(self.layers):
            y = nn.LayerNorm(dtype=self.dtype)(x)
            y = Attention(self.heads, kernel_init=self.kernel_init, dtype=self.dtype)(y)
            x = x + Dropout(self.dropout, self.axis_name)(y, train)
            y = nn.LayerNorm(dtype=self.dtype)(x)
            y = self.activation(Dense(4 * self.width, kernel_init=self.kernel_init, dtype=self.dtype)(y))
            y = Dense(self.width, kernel_init=self.kernel_init, dtype=self.dtype)(y)
            x = x + Dropout(self.dropout, self.axis_name)(y, train)
        x = jnp.mean(nn.LayerNorm(dtype=self.dtype)(x), axis=1)
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(x))
