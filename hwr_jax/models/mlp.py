"""The multilayer perceptron; without a hidden layer it is softmax regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.models import arguments
from hwr_jax.models.layers import ACTIVATIONS, Dense, Dropout, Norm, as_logits


class MLP(nn.Module):
    """Dense layers on the pixels, row by row (Rumelhart, Hinton & Williams 1986).

    Attributes:
      classes: K.
      hidden: width of each hidden layer; none: softmax regression.
      dropout: rate before each layer but the first.
      norm: 'none', 'batch', 'layer' or 'group', after each hidden layer.
      activation, kernel_init: functions (see `layers`).
      dtype: of what the layers compute; the parameters and the logits are float32.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    classes: int
    hidden: tuple[int, ...]
    dropout: float
    norm: str
    activation: Callable
    kernel_init: Callable
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, K]."""
        x = image.reshape(image.shape[0], -1).astype(self.dtype)
        for width in self.hidden:
            x = Dense(width, kernel_init=self.kernel_init, dtype=self.dtype)(x)
            x = self.activation(Norm(self.norm, self.axis_name)(x, train))
            x = Dropout(self.dropout, self.axis_name)(x, train)
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(x))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], MLP]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: a width that is not a positive integer.
    """
    arguments.check_widths("hidden", config.hidden)
    return lambda axis_name, train: MLP(
        hidden=tuple(config.hidden),
        dropout=config.dropout,
        norm=config.norm,
        activation=ACTIVATIONS[config.activation],
        axis_name=axis_name,
        **arguments.shared(config, classes),
    )
