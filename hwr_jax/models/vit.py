"""A small vision transformer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import arguments, products
from hwr_jax.models.layers import ACTIVATIONS, Dropout, as_logits


class ViT(nn.Module):
    """Patches as tokens and pre-norm transformer layers (Dosovitskiy et al. 2021), classified by the tokens' mean.

    Attributes:
      classes: K.
      patch_px: side of a patch, pixels.
      width: of a token.
      layers: of attention and MLP (four times as wide as a token).
      heads: of attention.
      dropout: rate of what each layer adds to the tokens.
      products: how tokens are multiplied with weights (see `products`).
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
    products: str
    activation: Callable
    kernel_init: Callable
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, K]."""
        layer = partial(products.dense_layer(self.products), kernel_init=self.kernel_init, dtype=self.dtype)
        attention = partial(products.attention(self.products), kernel_init=self.kernel_init, dtype=self.dtype)
        b, h, w, c = image.shape
        side = self.patch_px
        x = image.astype(self.dtype).reshape(b, h // side, side, w // side, side, c)
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(b, (h // side) * (w // side), side * side * c)
        x = layer(self.width)(x)
        x = x + self.param("position", nn.initializers.normal(0.02), (1, *x.shape[1:])).astype(self.dtype)
        for _ in range(self.layers):
            y = nn.LayerNorm(dtype=self.dtype)(x)
            y = attention(self.heads)(y)
            x = x + Dropout(self.dropout, self.axis_name)(y, train)
            y = nn.LayerNorm(dtype=self.dtype)(x)
            y = self.activation(layer(4 * self.width)(y))
            y = layer(self.width)(y)
            x = x + Dropout(self.dropout, self.axis_name)(y, train)
        x = jnp.mean(nn.LayerNorm(dtype=self.dtype)(x), axis=1)
        return as_logits(layer(self.classes)(x))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], ViT]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: sizes that do not divide each other or the images.
    """
    height, width = shape_px
    if height % config.patch_px or width % config.patch_px:
        raise ConfigError(
            f"config.model.patch_px={config.patch_px} is not possible: use a divisor of both sides, {height}x{width}"
        )
    if config.width % config.heads:
        raise ConfigError(
            f"config.model.heads={config.heads} does not divide config.model.width={config.width}: use a divisor of it"
        )
    return lambda axis_name, train: ViT(
        patch_px=config.patch_px,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        dropout=config.dropout,
        products=products.chosen(config.products, train=train, precision=config.precision),
        activation=ACTIVATIONS[config.activation],
        axis_name=axis_name,
        **arguments.shared(config, classes),
    )
