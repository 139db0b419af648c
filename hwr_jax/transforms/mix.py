"""Two pictures in one, with both of their labels: mixup and cutmix. The partner is the next example of the batch."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Mixed(NamedTuple):
    """A batch of pictures and what is in them."""

    image: jax.Array  # float32 [B, H, W, 1]
    partner: jax.Array  # int32 [B], the label of what was mixed in
    share: jax.Array  # float32 [B], of the first label; the partner's is 1 - share


def mix(keys: jax.Array, image: jax.Array, label: jax.Array, *, mixup: float, cutmix: float) -> Mixed:
    """Mixes each picture with the next one of the batch (of this device's part, under pmap or shard_map).

    mixup (Zhang et al. 2018): share * image + (1 - share) * partner. cutmix (Yun et al. 2019): a box of the partner,
    1 - share of the area before it is cut at the edge. The share is drawn from Beta(x, x). With both, each picture
    takes one of them, evenly.

    Args:
      keys: one per example [B].
      image: float32 [B, H, W, 1].
      label: int32 [B].
      mixup, cutmix: parameter of the Beta distribution; 0: not this one (not both 0).
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
    """Returns float32 [H, W, 1]: 1 in a box of the picture's proportions and 1 - share of its area, its centre drawn
    from all pixels; what lies outside is cut off."""
    inside = []
    for axis, n in enumerate(shape[:2]):
        half = n * jnp.sqrt(1 - share) / 2
        middle = jax.random.uniform(jax.random.fold_in(key, axis), (), jnp.float32, 0.0, float(n))
        inside.append(jnp.abs(jnp.arange(n, dtype=jnp.float32) + 0.5 - middle) < half)
    return (inside[0][:, None, None] & inside[1][None, :, None]).astype(jnp.float32)
