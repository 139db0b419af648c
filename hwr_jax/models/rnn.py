"""A recurrent network that reads a picture row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.models import arguments, recurrence
from hwr_jax.models.layers import Dense, as_logits


class RNN(nn.Module):
    """Rows as time: each of the H steps sees one row of W pixels; the last output of each direction is classified.

    Attributes:
      classes: K.
      cell: 'lstm' (Hochreiter & Schmidhuber 1997), 'gru' (Cho et al. 2014) or 'simple' (Elman 1990).
      width: of the state, each direction.
      layers: recurrent layers, stacked.
      bidirectional: whether each layer also reads upwards (Schuster & Paliwal 1997).
      dropout: rate of the outputs of each layer.
      recurrence: how the layers are read (see `recurrence`).
      kernel_init: of the output layer (see `layers`).
      dtype: of what the layers compute; the parameters and the logits are float32.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    classes: int
    cell: str
    width: int
    layers: int
    bidirectional: bool
    dropout: float
    recurrence: str
    kernel_init: Callable
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, K]."""
        x = image.reshape(*image.shape[:2], -1).astype(self.dtype)
        x = recurrence.stacked(self, x, train)
        last = x[:, -1]
        if self.bidirectional:  # the upward reading ends at the first row
            last = jnp.concatenate([x[:, -1, : self.width], x[:, 0, self.width :]], axis=-1)
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(last))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], RNN]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`."""
    return lambda axis_name, train: RNN(
        cell=config.cell,
        width=config.width,
        layers=config.layers,
        bidirectional=config.bidirectional,
        dropout=config.dropout,
        recurrence=recurrence.chosen(config.recurrence, train=train, precision=config.precision),
        axis_name=axis_name,
        **arguments.shared(config, classes),
    )
