"""Losses, per example: the caller averages or weighs them."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, label: jax.Array, *, smoothing: float = 0.0) -> jax.Array:
    """Softmax cross-entropy in nats, with label smoothing (Szegedy et al. 2016).

    In the one-hot form: the gradient of the integer-label form is a scatter, which is not deterministic on GPU.

    Args:
      logits: float32 [B, K].
      label: int32 [B], 0 <= label < K.
      smoothing: 0 <= smoothing < 1; the share of the target that is spread evenly over the K classes.

    Returns:
      float32 [B], >= 0.
    """
    classes = logits.shape[-1]
    target = jax.nn.one_hot(label, classes, dtype=logits.dtype)
    target = target * (1 - smoothing) + smoothing / classes
    return -jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)
