"""A convolutional recurrent network that reads a line: columns are time steps, and CTC (`tasks.ctc`) decodes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import arguments, recurrence
from hwr_jax.models.layers import Dense, Dropout, as_logits, max_pool_2x2, max_pool_rows


class CRNN(nn.Module):
    """Convolutions, then a recurrent network over the columns (Shi, Bai & Yao 2017).

    Attributes:
      classes: K, without the blank.
      features: channels of each convolution; each halves the height.
      kernels_px: kernel side of each convolution, pixels.
      column_px: pixels of a time step; the first log2(column_px) convolutions halve the width too.
      dense: width of the layer before the recurrent ones; 0: none.
      cell, width, layers, bidirectional, recurrence: of the recurrent layers (see `rnn`).
      dropout: rate before and after the recurrent layers.
      norm, activation, kernel_init, convolution: see `layers` and `convolution`.
      dtype: of what the layers compute; the parameters and the logits are float32.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    classes: int
    features: tuple[int, ...]
    kernels_px: tuple[int, ...]
    column_px: int
    dense: int
    cell: str
    width: int
    layers: int
    bidirectional: bool
    recurrence: str
    dropout: float
    norm: Callable
    activation: Callable
    kernel_init: Callable
    convolution: Callable
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, W / column_px, K + 1], the blank last."""
        x = image.astype(self.dtype)
        for i, (features, size) in enumerate(zip(self.features, self.kernels_px, strict=True)):
            x = nn.Conv(
                features,
                (size, size),
                padding="SAME",
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                conv_general_dilated_cls=lambda: self.convolution,
            )(x)
            x = max_pool_2x2(x) if 2**i < self.column_px else max_pool_rows(x)
            x = self.activation(self.norm()(x, train))
        x = x.swapaxes(1, 2)
        x = x.reshape(*x.shape[:2], -1)
        if self.dense:
            x = Dense(self.dense, kernel_init=self.kernel_init, dtype=self.dtype)(x)
            x = self.activation(self.norm()(x, train))
        x = Dropout(self.dropout, self.axis_name)(x, train)
        x = recurrence.stacked(self, x, train)
        return as_logits(Dense(self.classes + 1, kernel_init=self.kernel_init, dtype=self.dtype)(x))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], CRNN]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: sizes that do not fit each other or the images.
    """
    arguments.check_widths("features", config.features)
    arguments.check_widths("kernels_px", config.kernels_px)
    if not len(config.features) == len(config.kernels_px) > 0:
        raise ConfigError(
            f"config.model.features={tuple(config.features)} and config.model.kernels_px={tuple(config.kernels_px)} "
            "must have the same length, 1 or more: one value for each convolution"
        )
    height, width = shape_px
    if height < 2 ** len(config.features):
        raise ConfigError(f"config.model.features={tuple(config.features)}: each halves the height, which is {height}")
    column = config.column_px
    if column not in (2**i for i in range(len(config.features) + 1)) or width % column:
        raise ConfigError(
            f"config.model.column_px={column} is not possible: use a power of 2 up to 2 to the number of convolutions, "
            f"and a divisor of the width, {width}"
        )
    return lambda axis_name, train: CRNN(
        features=tuple(config.features),
        kernels_px=tuple(config.kernels_px),
        column_px=column,
        dense=config.dense,
        cell=config.cell,
        width=config.width,
        layers=config.layers,
        bidirectional=config.bidirectional,
        recurrence=recurrence.chosen(config.recurrence, train=train, precision=config.precision),
        **arguments.convolutional(config, classes, axis_name, train),
    )
