"""Moves the points of an image: affine, perspective and elastic maps, composed, with a single interpolation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def warp(
    key: jax.Array,
    image: jax.Array,
    *,
    shift_px: float,
    rotate_deg: float,
    scale: float,
    shear_deg: float,
    perspective: float,
    elastic_px: float,
    elastic_smooth_px: float,
) -> jax.Array:
    """Moves the points of an image about its centre, with bilinear interpolation.

    Each amount is drawn uniformly from -x..x (the scale factor from 1 - scale..1 + scale).

    Args:
      key: one key [].
      image: float32 [H, W, 1], 0 = paper.
      shift_px: pixels, along each axis.
      rotate_deg: degrees.
      scale: relative.
      shear_deg: degrees, along the rows.
      perspective: relative depth of the edges, along each axis (a tilted plane).
      elastic_px: root mean square of a random field of displacements, pixels (Simard, Steinkraus & Platt 2003).
      elastic_smooth_px: standard deviation of the Gaussian that smooths that field.

    Returns:
      float32 [H, W, 1]; outside the image lies paper.
    """
    affine = not shift_px == rotate_deg == scale == shear_deg == 0
    if not affine and perspective == elastic_px == 0:
        return image
    height, width = image.shape[:2]
    y, x = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    if affine:
        limit = jnp.array([shift_px, shift_px, jnp.deg2rad(rotate_deg), scale, jnp.deg2rad(shear_deg)], jnp.float32)
        shift_y, shift_x, angle, grow, shear = jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0) * limit
        y, x = y - shift_y, x - shift_x
        cos, sin = jnp.cos(angle) / (1 + grow), jnp.sin(angle) / (1 + grow)
        y, x = cos * y - sin * x, sin * y + cos * x
        x = x + jnp.tan(shear) * y
    if perspective:
        tilt = jax.random.uniform(jax.random.fold_in(key, 1), (2,), jnp.float32, -perspective, perspective)
        depth = 1 + tilt[0] * y / (height / 2) + tilt[1] * x / (width / 2)
        y, x = y / depth, x / depth
    if elastic_px:
        field = jax.random.normal(jax.random.fold_in(key, 2), (2, height, width))
        rows, columns = (jnp.asarray(_unit_gaussian(n, elastic_smooth_px)) for n in (height, width))
        moved = elastic_px * (rows @ field @ columns.T)
        y, x = y + moved[0], x + moved[1]
    return bilinear(image[..., 0], y + (height - 1) / 2, x + (width - 1) / 2)[..., None]


def _unit_gaussian(side: int, sigma_px: float) -> np.ndarray:
    """The matrix [side, side] that smooths white noise of variance 1 into noise of variance 1."""
    steps = np.arange(side)[:, None] - np.arange(side)[None]
    weights = np.exp(-0.5 * (steps / max(sigma_px, 1e-3)) ** 2)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


def bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Samples image [H, W] at y, x [...] (pixels, 0 = the middle of the first); outside is 0."""
    height, width = image.shape
    # A border of paper puts every point outside between zeros, so no mask is needed.
    padded = jnp.pad(image, (1, 2)).reshape(-1)
    y = jnp.clip(y + 1, 0.0, height + 1.0)
    x = jnp.clip(x + 1, 0.0, width + 1.0)
    top, left = jnp.floor(y), jnp.floor(x)
    dy, dx = y - top, x - left
    at = top.astype(jnp.int32) * (width + 3) + left.astype(jnp.int32)
    row = [padded[at + i] * (1 - dx) + padded[at + i + 1] * dx for i in (0, width + 3)]
    return row[0] * (1 - dy) + row[1] * dy
