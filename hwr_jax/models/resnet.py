"""A small residual network for small pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import arguments
from hwr_jax.models.layers import Dense, Dropout, as_logits


class ResNet(nn.Module):
    """The network for CIFAR of He, Zhang, Ren & Sun 2016 (section 4.2), pre-activated (He et al. 2016b).

    Attributes:
      classes: K.
      features: channels of each stage; each but the first halves the picture.
      blocks: residual blocks a stage, of two 3x3 convolutions each.
      stride: step of the first convolution, pixels.
      dropout: rate before the output layer.
      norm: 'none', 'batch', 'layer' or 'group', before each activation.
      activation, kernel_init, convolution: functions (see `layers` and `convolution`).
      dtype: of what the layers compute; the parameters and the logits are float32.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    classes: int
    features: tuple[int, ...]
    blocks: int
    stride: int
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
        conv = functools.partial(
            nn.Conv,
            use_bias=False,
            padding="SAME",
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            conv_general_dilated_cls=lambda: self.convolution,
        )
        x = conv(self.features[0], (3, 3), (self.stride, self.stride))(image.astype(self.dtype))
        for stage, features in enumerate(self.features):
            for block in range(self.blocks):
                step = 2 if stage and not block else 1
                y = self.activation(self.norm()(x, train))
                if x.shape[-1] != features or step != 1:
                    x = conv(features, (1, 1), (step, step))(y)
                y = conv(features, (3, 3), (step, step))(y)
                y = self.activation(self.norm()(y, train))
                x = x + conv(features, (3, 3))(y)
        x = self.activation(self.norm()(x, train))
        x = Dropout(self.dropout, self.axis_name)(jnp.mean(x, axis=(1, 2)), train)
        return as_logits(Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)(x))


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], ResNet]:
    """Returns (axis_name, train) -> module for `config.model`, K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: a width that is not a positive integer, or no stage.
    """
    arguments.check_widths("features", config.features)
    if not config.features:
        raise ConfigError("config.model.features=() is not possible: a resnet has one stage or more")
    return lambda axis_name, train: ResNet(
        features=tuple(config.features),
        blocks=config.blocks,
        stride=config.stride_px,
        **arguments.convolutional(config, classes, axis_name, train),
    )
