"""LeNet-5 as published in 1998, with average pooling and a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import arguments, convolution
from hwr_jax.models.layers import ACTIVATIONS, Dense, as_logits, avg_pool_2x2


class LeNet(nn.Module):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, figure 2): C1 S2 C3 S4 C5 F6 and the output.

    A margin of two pixels turns the 28x28 image into its 32x32 input. Like later networks, this one leaves out the
    trained factors of the pooling, C3's table of connections (here all maps are connected) and the radial output.

    Attributes:
      classes: K.
      activation, kernel_init, convolution: functions (see `layers` and `convolution`).
      dtype: of what the layers compute; the parameters and the logits are float32.
    """

    classes: int
    activation: Callable
    kernel_init: Callable
    convolution: Callable
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, 1] to logits [B, K]."""
        x = image.astype(self.dtype)
        for features, padding in ((6, 2), (16, 0)):
            x = nn.Conv(
                features,
                (5, 5),
                padding=padding,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                conv_general_dilated_cls=lambda: self.convolution,
            )(x)
            x = avg_pool_2x2(self.activation(x))
        x = x.reshape(x.shape[0], -1)
        for width in (120, 84):
            x = self.activation(Dense(width, kernel_init=self.kernel_init, dtype=self.dtype)(x))
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(x))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], LeNet]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: the images are too small.
    """
    if min(shape_px) < 12:
        height, width = shape_px
        raise ConfigError(f"config.frame leaves {height}x{width} pixels, and lenet needs 12x12 or more")
    return lambda axis_name, train: LeNet(
        activation=ACTIVATIONS[config.activation],
        convolution=convolution.by_name(config.convolution, train=train, precision=config.precision),
        **arguments.shared(config, classes),
    )
