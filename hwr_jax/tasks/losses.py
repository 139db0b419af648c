"""Losses, per example: the caller averages or weighs them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

CLASS_WEIGHTS = ("none", "balanced")


def balanced_weights(counts: np.ndarray) -> tuple[float, ...]:
    """Returns the weight of each class for which all classes count alike, and the mean over the examples is 1.

    Args:
      counts: int [K], examples of each class; one without examples gets the weight 0.
    """
    counts = np.asarray(counts, np.float64)
    some = counts > 0
    return tuple(np.where(some, counts.sum() / (some.sum() * np.maximum(counts, 1)), 0.0).tolist())


def cross_entropy(
    logits: jax.Array, label: jax.Array, *, smoothing: float = 0.0, weights: tuple[float, ...] = ()
) -> jax.Array:
    """Softmax cross-entropy in nats, with label smoothing (Szegedy et al. 2016).

    In the one-hot form: the gradient of the integer-label form is a scatter, which is not deterministic on GPU.

    Args:
      logits: float32 [B, K].
      label: int32 [B], 0 <= label < K.
      smoothing: 0 <= smoothing < 1; the share of the target that is spread evenly over the K classes.
      weights: of each class K: an example's loss is multiplied by that of its label; (): 1.

    Returns:
      float32 [B], >= 0.
    """
    classes = logits.shape[-1]
    hot = jax.nn.one_hot(label, classes, dtype=logits.dtype)
    target = hot * (1 - smoothing) + smoothing / classes
    loss = -jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)
    return loss * (hot @ jnp.asarray(weights, logits.dtype)) if weights else loss
