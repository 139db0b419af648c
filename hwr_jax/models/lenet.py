"""LeNet-5, as it was drawn in 1998, with average pooling and a softmax."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.models.layers import Dense, as_logits, avg_pool_2x2


class LeNet(nn.Module):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, figure 2): C1 S2 C3 S4 C5 F6 and the output.

    The margin of two pixels makes the 28x28 picture its 32x32 input. Left out are what later networks left out too: the
    trained factors of the pooling, the table of connections of C3 (all maps are connected) and the radial output.

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
