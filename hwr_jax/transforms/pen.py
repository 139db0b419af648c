"""What another pen, sheet or scanner does to an image; each map is the identity at zero strength.

An image is float32 [H, W, 1], 0 = paper, 1 = ink.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hwr_jax.transforms.geometry import bilinear


def thickness(key: jax.Array, image: jax.Array, amount: float) -> jax.Array:
    """Makes strokes thicker or thinner: blends the image [H, W, 1] with its dilation (u > 0) or erosion (u < 0) by a
    3x3 square, with weight |u|; u is drawn from -amount..amount, amount <= 1."""
    if not amount:
        return image
    u = jax.random.uniform(key, (), jnp.float32, -amount, amount)
    other = jnp.where(u > 0, dilate(image), 1 - dilate(1 - image, outside=1.0))
    return image + jnp.abs(u) * (other - image)


def dilate(image: jax.Array, *, outside: float = 0.0) -> jax.Array:
    """Returns the largest value of each 3x3 square; outside the image [H, W, 1] lies `outside`."""
    for axis in (0, 1):
        wide = jnp.pad(image, [(1, 1) if a == axis else (0, 0) for a in range(3)], constant_values=outside)
        n = image.shape[axis]
        cut = [jax.lax.slice_in_dim(wide, i, i + n, axis=axis) for i in range(3)]
        image = jnp.maximum(jnp.maximum(cut[0], cut[1]), cut[2])
    return image


def blur(key: jax.Array, image: jax.Array, limit_px: float) -> jax.Array:
    """Blurs by a Gaussian of standard deviation drawn from 0..limit_px; outside the image [H, W, 1] lies paper."""
    if not limit_px:
        return image
    sigma = jax.random.uniform(key, (), jnp.float32, 0.0, limit_px)
    return _blurred(image, sigma, sigma)


def _blurred(image: jax.Array, down_px: jax.Array, across_px: jax.Array) -> jax.Array:
    rows, columns = gaussian(image.shape[0], down_px), gaussian(image.shape[1], across_px)
    return (rows @ image[..., 0] @ columns.T)[..., None]


def gaussian(side: int, sigma_px: jax.Array) -> jax.Array:
    """Returns the matrix [side, side] of a Gaussian blur along one axis; its weights sum to 1 on an endless axis."""
    steps = jnp.arange(-side + 1, side, dtype=jnp.float32)
    weights = jnp.exp(-0.5 * jnp.square(steps / jnp.maximum(sigma_px, 0.05)))  # below, it is the identity in float32
    weights = weights / jnp.sum(weights)
    return weights[side - 1 + jnp.arange(side)[:, None] - jnp.arange(side)[None, :]]


def light(key: jax.Array, image: jax.Array, brightness: float, contrast: float) -> jax.Array:
    """Stretches grey about the image's mean by 1 - contrast..1 + contrast, then adds -brightness..brightness, and clips
    to 0..1."""
    if not brightness and not contrast:
        return image
    limit = jnp.array([contrast, brightness], jnp.float32)
    stretch, add = jax.random.uniform(key, (2,), jnp.float32, -1.0, 1.0) * limit
    mean = jnp.mean(image)
    return jnp.clip(mean + (1 + stretch) * (image - mean) + add, 0.0, 1.0)


def invert(key: jax.Array, image: jax.Array, probability: float) -> jax.Array:
    """Swaps ink and paper with this probability."""
    return jnp.where(jax.random.bernoulli(key, probability), 1 - image, image) if probability else image


def background(key: jax.Array, image: jax.Array, amount: float) -> jax.Array:
    """Puts a smooth grey, 0..amount, under the ink: 4x4 random values, interpolated."""
    if not amount:
        return image
    height, width = image.shape[:2]
    grid = jax.random.uniform(key, (4, 4), jnp.float32, 0.0, amount)
    y, x = jnp.meshgrid(*(jnp.linspace(0.0, 3.0, n) for n in (height, width)), indexing="ij")
    return image + (1 - image) * bilinear(grid, y, x)[..., None]


def lines(key: jax.Array, image: jax.Array, most: int) -> jax.Array:
    """Draws up to `most` straight lines, each with probability 1/2, anywhere, 1 to 2 pixels wide and of any grey."""
    if not most:
        return image
    height, width = image.shape[:2]
    y, x = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    drawn, angle, offset, wide, grey = jax.random.uniform(key, (5, most))
    cos, sin = jnp.cos(jnp.pi * angle), jnp.sin(jnp.pi * angle)
    away = jnp.abs(
        x[..., None] * cos[None, None] + y[..., None] * sin[None, None] - (offset - 0.5)[None, None] * height
    )
    ink = jnp.clip((1 + wide[None, None]) / 2 + 0.5 - away, 0.0, 1.0) * jnp.where(drawn < 0.5, grey, 0.0)[None, None]
    return jnp.maximum(image, jnp.max(ink, axis=-1, keepdims=True))


def neighbours(key: jax.Array, image: jax.Array, most_px: int) -> jax.Array:
    """Leaves remains of other characters in up to `most_px` columns at the left and at the right edge: pieces of the
    image itself, turned by half a turn."""
    if not most_px:
        return image
    turned = jnp.pad(image[::-1, ::-1], ((0, 0), (most_px, most_px), (0, 0)))
    columns = jnp.arange(image.shape[1])
    wide, first = jax.random.uniform(key, (2, 2), jnp.float32, 0.0, 1.0)
    wide = jnp.floor(wide * (most_px + 1)).astype(jnp.int32)
    first = jnp.floor(first * (2 * most_px + 1)).astype(jnp.int32)
    left, right = (jax.lax.dynamic_slice(turned, (0, start, 0), image.shape) for start in (first[0], first[1]))
    at_left, at_right = columns < wide[0], columns >= image.shape[1] - wide[1]
    remains = jnp.where(
        at_left[:, None], jnp.roll(left, -10, 1), jnp.where(at_right[:, None], jnp.roll(right, 10, 1), 0.0)
    )
    return jnp.maximum(image, remains)


def blots(key: jax.Array, image: jax.Array, most: int) -> jax.Array:
    """Puts up to `most` discs, each with probability 1/2, anywhere, 0.5 to 2.5 pixels in radius and of any grey: half
    as ink over the image, half as holes in it."""
    if not most:
        return image
    height, width = image.shape[:2]
    drawn, down, across, radius, grey = jax.random.uniform(key, (5, most))
    y = jnp.square(jnp.arange(height, dtype=jnp.float32)[:, None] - (down * (height - 1))[None])
    x = jnp.square(jnp.arange(width, dtype=jnp.float32)[:, None] - (across * (width - 1))[None])
    away = jnp.sqrt(y[:, None] + x[None])
    disc = jnp.clip((1 + 2 * radius)[None, None] - away, 0.0, 1.0) * grey[None, None]
    is_ink, is_hole = drawn < 0.25, (drawn >= 0.25) & (drawn < 0.5)
    ink, hole = (
        jnp.max(jnp.where(taken[None, None], disc, 0.0), axis=-1, keepdims=True) for taken in (is_ink, is_hole)
    )
    return jnp.maximum(image, ink) * (1 - hole)


def smear(key: jax.Array, image: jax.Array, limit_px: float) -> jax.Array:
    """Blurs along the rows or along the columns, as a camera that moves: by a Gaussian of standard deviation drawn from
    0..limit_px."""
    if not limit_px:
        return image
    along = jax.random.uniform(key, (), jnp.float32, -limit_px, limit_px)
    return _blurred(image, jnp.maximum(along, 0), jnp.maximum(-along, 0))


def noise(key: jax.Array, image: jax.Array, std: float) -> jax.Array:
    """Adds Gaussian noise of standard deviation `std` to each pixel, and clips to 0..1."""
    return _noisy(key, image, std) if std else image


def grain(key: jax.Array, image: jax.Array, most: float) -> jax.Array:
    """The same with a standard deviation drawn from 0..most."""
    if not most:
        return image
    return _noisy(key, image, most * jax.random.uniform(jax.random.fold_in(key, 1)))


def _noisy(key: jax.Array, image: jax.Array, std: jax.typing.ArrayLike) -> jax.Array:
    return jnp.clip(image + std * jax.random.normal(key, image.shape), 0.0, 1.0)


def salt_pepper(key: jax.Array, image: jax.Array, share: float) -> jax.Array:
    """Turns each pixel into full ink or paper, with probability share / 2 each."""
    if not share:
        return image
    u = jax.random.uniform(key, image.shape)
    return jnp.where(u < share / 2, 0.0, jnp.where(u < share, 1.0, image))


def cutout(key: jax.Array, image: jax.Array, side_px: int) -> jax.Array:
    """Blanks a square of `side_px`, its centre drawn from all pixels (DeVries & Taylor 2017)."""
    if not side_px:
        return image
    height, width = image.shape[:2]
    middle = jax.random.randint(key, (2,), 0, jnp.array([height, width]))
    inside = [
        (jnp.arange(n) >= m - side_px // 2) & (jnp.arange(n) < m - side_px // 2 + side_px)
        for n, m in zip((height, width), middle, strict=True)
    ]
    return jnp.where(inside[0][:, None, None] & inside[1][None, :, None], 0.0, image)
