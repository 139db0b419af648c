"""A plain convolutional network: convolutions, 2x2 max-pooling, at most one hidden dense layer, class scores."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.models.layers import Dense, Dropout, Norm, as_logits, max_pool_2x2


class CNN(nn.Module):
    """LeNet's plan (LeCun et al. 1998) with today's parts.

    Attributes:
      classes: K.
      features: channels of each convolution.
      kernels_px: kernel side of each convolution, pixels.
      strides_px: step of each convolution, pixels.
      pools: whether each convolution is followed by a 2x2 max-pooling.
      padding: 'valid' (none) or 'same' (zeros, so that a step of 1 keeps the size).
      dense: width of the hidden layer; 0: none.
      dropout: rate before the hidden and the output layer.
      norm: 'none' or 'batch', after every convolution and the hidden layer.
      activation, kernel_init, convolution: functions (see `layers` and `convolution`).
      dtype: of what the layers compute; the parameters and the logits are float32.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    classes: int
    features: tuple[int, ...]
    kernels_px: tuple[int, ...]
    strides_px: tuple[int, ...]
    pools: tuple[bool, ...]
    padding: str
    dense: int
    dropout: float
    norm: str
    activation: Callable
    kernel_init: Callable
    convolution: Callable
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, K]."""
        x = image.astype(self.dtype)
        plan = zip(self.features, self.kernels_px, self.strides_px, self.pools, strict=True)
        for features, size, stride, pool in plan:
            x = nn.Conv(
                features,
                (size, size),
                (stride, stride),
                padding=self.padding.upper(),
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                conv_general_dilated_cls=lambda: self.convolution,
            )(x)
            # Pooling first gives the same values as after a monotone activation, at a quarter of its cost.
            x = max_pool_2x2(x) if pool else x
            x = self.activation(Norm(self.norm, self.axis_name)(x, train))
        x = x.reshape(x.shape[0], -1)
        if self.dense:
            x = Dropout(self.dropout, self.axis_name)(x, train)
            x = Dense(self.dense, kernel_init=self.kernel_init, dtype=self.dtype)(x)
            x = self.activation(Norm(self.norm, self.axis_name)(x, train))
        x = Dropout(self.dropout, self.axis_name)(x, train)
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(x))
