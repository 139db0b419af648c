"""Mixup and cutmix: two images in one, with both labels. The partner is the next example of the batch."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Mixed(NamedTuple):
    """A batch of mixed images, and what was mixed in."""

    image: jax.Array  # float32 [B, H, W, 1]
    partner: jax.Array  # int32 [B], the label of what was mixed in
    share: jax.Array  # float32 [B], of the first label; the partner's is 1 - share


def mix(keys: jax.Array, image: jax.Array, label: jax.Array, *, mixup: float, cutmix: float) -> Mixed:
    """Mixes each image with the next one of the batch (under pmap or shard_map: of this device's part).

    mixup (Zhang et al. 2018): share * image + (1 - share) * partner. cutmix (Yun et al. 2019): pastes a box of the
    partner, 1 - share of the area before the edge cuts it off. The share is drawn from Beta(x, x). With both, each
    image gets one of them with equal probability.

    Args:
      keys: one per example [B].
      image: float32 [B, H, W, 1].
      label: int32 [B].
      mixup, cutmix: x of the Beta distribution; 0: off (not both).
    """
    other = jnp.roll(image, -1, axis=0)
    if mixup and cutmix:
        chosen = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 0)))(keys)
    else:
        chosen = jnp.full(label.shape, bool(cutmix))

    def one(key, image, other, cut):
        alpha = jnp.where(cut, cutmix or 1.0, mixup or 1.0)
        share = jax.random.beta(jax.random.fold_in(key, 1), alpha, alpha)
        box = cut_box(jax.random.fold_in(key, 2), image.shape, share)
        weight = jnp.where(cut, 1 - box, share)
        return weight * image + (1 - weight) * other, jnp.mean(weight)

    mixed, share = jax.vmap(one)(keys, image, other, chosen)
    return Mixed(mixed, jnp.roll(label, -1), share)


def cut_box(key: jax.Array, shape: tuple[int, ...], share: jax.Array) -> jax.Array:
    """Returns float32 [H, W, 1]: 1 inside a box with the image's proportions and 1 - share of its area, 0 elsewhere.
    The centre is drawn from the whole image, and the edge cuts off what lies outside."""
    inside = []
    for axis, n in enumerate(shape[:2]):
        half = n * jnp.sqrt(1 - share) / 2
        middle = jax.random.uniform(jax.random.fold_in(key, axis), (), jnp.float32, 0.0, float(n))
        inside.append(jnp.abs(jnp.arange(n, dtype=jnp.float32) + 0.5 - middle) < half)
    return (inside[0][:, None, None] & inside[1][None, :, None]).astype(jnp.float32)
