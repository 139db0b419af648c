"""A plain convolutional network: convolutions, 2x2 max-pooling, at most one hidden dense layer, class scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import arguments
from hwr_jax.models.layers import Dense, Dropout, as_logits, max_pool_2x2


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
    norm: Callable
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
            x = self.activation(self.norm()(x, train))
        x = x.reshape(x.shape[0], -1)
        if self.dense:
            x = Dropout(self.dropout, self.axis_name)(x, train)
            x = Dense(self.dense, kernel_init=self.kernel_init, dtype=self.dtype)(x)
            x = self.activation(self.norm()(x, train))
        x = Dropout(self.dropout, self.axis_name)(x, train)
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(x))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], CNN]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: sizes that do not fit each other or the images.
    """
    _check_sizes(config, shape_px)
    return lambda axis_name, train: CNN(
        features=tuple(config.features),
        kernels_px=tuple(config.kernels_px),
        strides_px=tuple(config.strides_px),
        pools=tuple(config.pools),
        padding=config.padding,
        dense=config.dense,
        **arguments.convolutional(config, classes, axis_name, train),
    )


def _check_sizes(config: Any, shape_px: tuple[int, int]) -> None:
    features = tuple(config.features)
    per_layer = {key: tuple(config[key]) for key in ("kernels_px", "strides_px", "pools")}
    for key, values in per_layer.items():
        if len(values) != len(features):
            raise ConfigError(
                f"config.model.features={features} and config.model.{key}={values} must have the same length: "
                "one value for each convolution"
            )
    kernels, strides, pools = per_layer.values()
    if not all(isinstance(v, int) and v > 0 for v in (*features, *kernels, *strides)):
        raise ConfigError(
            "config.model.features, config.model.kernels_px and config.model.strides_px must be positive integers, "
            f"not {features}, {kernels} and {strides}"
        )
    if not all(isinstance(v, bool) for v in pools):
        raise ConfigError(f"config.model.pools={pools} is not possible: use True or False for each convolution")
    side_px = min(shape_px)
    for size, stride, pool in zip(kernels, strides, pools, strict=True):
        side_px = -(-side_px // stride) if config.padding == "same" else (side_px - size) // stride + 1
        side_px = side_px // 2 if pool else side_px
    if side_px < 1:
        height, width = shape_px
        raise ConfigError(
            f"config.model.kernels_px={kernels} leaves nothing of a {height}x{width} image: use fewer or smaller "
            "ones, or less pooling"
        )
