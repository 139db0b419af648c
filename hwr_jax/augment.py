"""Augmentation of one image on the device: a random affine map. Owns the geometry; keys come from the caller.

Zero strength is the identity, to the bit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def affine(
    key: jax.Array, image: jax.Array, *, shift_px: float, rotate_deg: float, scale: float, shear_deg: float
) -> jax.Array:
    """Shifts, rotates, scales and shears an image about its centre, with bilinear interpolation.

    Each amount is drawn uniformly from -x..x (the scale factor from 1 - scale..1 + scale).

    Args:
      key: one key [].
      image: float32 [H, W, 1], 0 = paper.
      shift_px: pixels, along each axis.
      rotate_deg: degrees.
      scale: relative.
      shear_deg: degrees, along the rows.

    Returns:
      float32 [H, W, 1]; what comes from outside the image is paper.
    """
    if shift_px == rotate_deg == scale == shear_deg == 0:
        return image
    height, width = image.shape[:2]
    limit = jnp.array([shift_px, shift_px, jnp.deg2rad(rotate_deg), scale, jnp.deg2rad(shear_deg)], jnp.float32)
    shift_y, shift_x, angle, grow, shear = jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0) * limit
    y, x = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    y, x = y - shift_y, x - shift_x
    cos, sin = jnp.cos(angle) / (1 + grow), jnp.sin(angle) / (1 + grow)
    from_y = cos * y - sin * x
    from_x = sin * y + cos * x + jnp.tan(shear) * from_y
    return _bilinear(image[..., 0], from_y + (height - 1) / 2, from_x + (width - 1) / 2)[..., None]


def _bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Samples image [H, W] at y, x [H, W] (pixels); outside is 0."""
    height, width = image.shape
    # Paper all round makes every point outside fall between two zeros, so no mask is needed.
    padded = jnp.pad(image, (1, 2)).reshape(-1)
    y = jnp.clip(y + 1, 0.0, height + 1.0)
    x = jnp.clip(x + 1, 0.0, width + 1.0)
    top, left = jnp.floor(y), jnp.floor(x)
    dy, dx = y - top, x - left
    at = top.astype(jnp.int32) * (width + 3) + left.astype(jnp.int32)
    row = [padded[at + i] * (1 - dx) + padded[at + i + 1] * dx for i in (0, width + 3)]
    return row[0] * (1 - dy) + row[1] * dy
