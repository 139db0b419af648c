"""How an image lies in its frame: deskew, centre, crop, resize. The same for training and prediction, on the device.

Nothing here is random. Switched off, each step is the identity, to the bit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hwr_jax.transforms.geometry import bilinear


def frame(image: jax.Array, *, deskew: bool, centre: bool, crop_px: int, side_px: int) -> jax.Array:
    """Applies the steps that are switched on, in this order.

    Args:
      image: float32 [H, W, 1], 0 = paper.
      deskew: shears the rows so that the ink leans neither way (its mixed second moment becomes 0).
      centre: moves the ink's centre of mass to the middle of the frame.
      crop_px: cuts a margin of this many pixels off each side.
      side_px: resizes to a square of this side, linearly (averaging where it shrinks); 0: keeps the size.

    Returns:
      float32 [H', W', 1].
    """
    if deskew or centre:
        image = _straighten(image, deskew=deskew, centre=centre)
    if crop_px:
        image = image[crop_px:-crop_px, crop_px:-crop_px]
    if side_px and image.shape[:2] != (side_px, side_px):
        image = jax.image.resize(image, (side_px, side_px, 1), "linear")
    return image


def framed_shape_px(shape_px: tuple[int, int], *, crop_px: int, side_px: int) -> tuple[int, int]:
    """Returns the height and width that `frame` makes of an image's; 0 or less where nothing is left."""
    height, width = (side - 2 * crop_px for side in shape_px)
    return (side_px, side_px) if side_px and min(height, width) > 0 else (height, width)


def _straighten(image: jax.Array, *, deskew: bool, centre: bool) -> jax.Array:
    """Shear and shift in one interpolation; an image without ink stays as it is."""
    ink = image[..., 0]
    height, width = ink.shape
    y, x = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) for n in (height, width)), indexing="ij")
    mass = jnp.maximum(jnp.sum(ink), 1e-6)
    mean_y, mean_x = jnp.sum(ink * y) / mass, jnp.sum(ink * x) / mass
    spread = jnp.sum(ink * jnp.square(y - mean_y)) / mass
    lean = jnp.sum(ink * (y - mean_y) * (x - mean_x)) / mass / jnp.maximum(spread, 1e-6) if deskew else 0.0
    to_y, to_x = ((height - 1) / 2, (width - 1) / 2) if centre else (mean_y, mean_x)
    from_y = y - to_y + mean_y
    from_x = x - to_x + mean_x + lean * (from_y - mean_y)
    return jnp.where(jnp.sum(ink) > 1e-3, bilinear(ink, from_y, from_x), ink)[..., None]
