"""What several networks share: pooling, dropout, normalisation; activations, initialisers and precisions by name."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.nn import initializers

from hwr_jax.core import rng
from hwr_jax.core.errors import ConfigError
from hwr_jax.models import products
from hwr_jax.models.kernels import normalisation

ACTIVATIONS = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "mish": jax.nn.mish,
    "selu": nn.selu,
    "softplus": nn.softplus,
    "identity": jax.nn.identity,
    "tanh": nn.tanh,
    "sigmoid": nn.sigmoid,
}

INITIALIZERS = {
    "lecun_normal": initializers.lecun_normal(),
    "he_normal": initializers.he_normal(),
    "he_uniform": initializers.he_uniform(),
    "xavier_normal": initializers.xavier_normal(),
    "xavier_uniform": initializers.xavier_uniform(),
    "orthogonal": initializers.orthogonal(),
    "normal": initializers.normal(0.05),
    "pytorch_uniform": initializers.variance_scaling(1 / 3, "fan_in", "uniform"),  # PyTorch's default for kernels
    "zeros": initializers.zeros,
}

# Flax's dense layer, with products whose sums have the same order for two to eight threads (see `product`).
Dense = products.dense_layer("plain")
DENSE = "Dense_"  # Flax names the dense layers of a module Dense_0, Dense_1, ...; checkpoints hold these names

MOMENTUM, EPSILON = 0.9, 1e-5  # of the running statistics; added to the variance
PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def as_logits(x: jax.Array) -> jax.Array:
    """Returns the scores, of any shape, in the loss's dtype: float32 whatever the layers compute; float64 stays."""
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def max_pool_2x2(image: jax.Array) -> jax.Array:
    """Maximum over 2x2 windows: [B, H, W, C] -> [B, H // 2, W // 2, C]; an odd last row or column is left out.

    It takes maxima of pairs, whose gradient is a selection: deterministic on GPU, unlike that of `nn.max_pool`
    (select-and-scatter), and on CPU three to six times faster than that of `max` over two axes. Equal values share it.
    """
    b, h, w, c = image.shape
    windows = image[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c)
    rows = jnp.maximum(windows[:, :, 0], windows[:, :, 1])
    return jnp.maximum(rows[:, :, :, 0], rows[:, :, :, 1])


def max_pool_rows(image: jax.Array) -> jax.Array:
    """Maximum over 2x1 windows: [B, H, W, C] -> [B, H // 2, W, C]; an odd last row is left out."""
    b, h, w, c = image.shape
    windows = image[:, : h // 2 * 2].reshape(b, h // 2, 2, w, c)
    return jnp.maximum(windows[:, :, 0], windows[:, :, 1])


def avg_pool_2x2(image: jax.Array) -> jax.Array:
    """Mean of 2x2 windows: [B, H, W, C] -> [B, H // 2, W // 2, C]; an odd last row or column is left out."""
    b, h, w, c = image.shape
    return image[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) with one key per example, so that the mask depends on the example's position
    in the global batch and not on how many devices share the batch.

    Attributes:
      rate: probability that a value is dropped, 0 <= rate < 1; 0 is the identity.
      axis_name: the mapped axis over which the batch is split, if any.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Drops values of x [B, ...] when `train`, and scales the others so that the expected value stays the same."""
        if not train or self.rate == 0.0:
            return x
        keys = rng.per_example(self.make_rng("dropout"), rng.batch_position(x.shape[0], self.axis_name))
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), jnp.zeros_like(x))


class BatchNorm(nn.Module):
    """Flax's BatchNorm with the same parameters and statistics; our kernel computes the sums over the batch.

    Attributes: see `nn.BatchNorm`.
    """

    use_running_average: bool
    momentum: float
    epsilon: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalises x float32 [B, ..., C] by the batch, or by the running statistics."""
        shape = x.shape[-1:]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape)
        scale = self.param("scale", initializers.ones, shape)
        bias = self.param("bias", initializers.zeros, shape)
        if self.use_running_average:
            by = scale * lax.rsqrt(running_var.value + self.epsilon)
            return normalisation.standardise(x, running_mean.value, by, bias)
        mean, squares = normalisation.moments(x)
        if self.axis_name is not None and not self.is_initializing():
            mean, squares = lax.pmean((mean, squares), self.axis_name)
        var = jnp.maximum(0, squares - mean**2)
        if not self.is_initializing():
            running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
            running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
        return normalisation.standardise(x, mean, scale * lax.rsqrt(var + self.epsilon), bias)


class Norm(nn.Module):
    """The normalisation of one kind: 'none', 'batch' (Ioffe & Szegedy 2015; statistics of the global batch), 'layer'
    (Ba et al. 2016; over the channels) or 'group' (Wu & He 2018; over height, width and groups of 8 channels, or of the
    largest number below that divides them)."""

    kind: str
    axis_name: str | None = None
    compiled: bool = False  # take the kernel's sums for 'batch'

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalises x [B, ..., C] by the batch when `train`, else by the running statistics; computes in float32."""
        if self.kind == "none":
            return x
        if self.kind == "batch":
            batch_norm = BatchNorm if self.compiled else nn.BatchNorm
            norm = batch_norm(
                use_running_average=not train, momentum=MOMENTUM, epsilon=EPSILON, axis_name=self.axis_name
            )
        elif self.kind == "layer":
            norm = nn.LayerNorm(epsilon=EPSILON)
        else:
            norm = nn.GroupNorm(num_groups=None, group_size=group_size(x.shape[-1]), epsilon=EPSILON)
        return norm(x.astype(jnp.float32)).astype(x.dtype)


def group_size(channels: int) -> int:
    """Returns the largest divisor of `channels` up to 8. Raises ConfigError if that is 1."""
    size = max(size for size in range(1, 9) if channels % size == 0)
    if size == 1:
        raise ConfigError(f"config.model.norm=group needs widths with a divisor from 2 to 8, and {channels} has none")
    return size


NORMS = ("none", "batch", "layer", "group")
