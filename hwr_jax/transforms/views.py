"""Test-time augmentation: reads an image at several small shifts and averages the readings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp
from jax import lax


def mean_log_probability(score: Callable[[jax.Array], jax.Array], image: jax.Array, *, shift_px: int) -> jax.Array:
    """Scores images at every whole-pixel shift up to `shift_px` in each direction, and averages over the shifts.

    It averages log probabilities, so the result can stand in for logits. A shift moves in paper from outside. Source:
    multi-crop testing (Krizhevsky et al. 2012, section 4.1).

    Args:
      score: images [B, H, W, 1] -> logits [B, K].
      image: float32 [B, H, W, 1] in 0..1, 0 = paper.
      shift_px: 0 or more; 0: the logits of the unshifted image, n: (2n + 1)**2 views.

    Returns:
      float32 [B, K].
    """
    if not shift_px:
        return score(image)
    edge = (shift_px, shift_px)
    padded = jnp.pad(image, ((0, 0), edge, edge, (0, 0)))

    def view(corner):
        return jax.nn.log_softmax(score(lax.dynamic_slice(padded, (0, *corner, 0), image.shape)))

    sides = range(2 * shift_px + 1)
    return jnp.mean(lax.map(view, jnp.asarray(tuple(product(sides, sides)))), axis=0)
