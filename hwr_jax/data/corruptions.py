"""Test images made worse in fifteen ways and five strengths, to see what a model stands: for evaluation alone.

In the manner of MNIST-C (Mu & Gilmer 2019) and of Hendrycks & Dietterich 2019, but drawn by this file. Five families of
three kinds each; a model that was trained with a family's like in its augmentation is told apart from one that was not.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

STRENGTHS = (1, 2, 3, 4, 5)

Kind = Callable[
    [np.random.Generator, np.ndarray, int], np.ndarray
]  # (rng, float32 [N, H, W] in 0..1, 1..5) -> the same


def corrupt(images: np.ndarray, kind: str, strength: int, *, seed: int = 0) -> np.ndarray:
    """Makes images worse.

    Args:
      images: uint8 [N, H, W], 0 = paper, 255 = ink.
      kind: one of KINDS.
      strength: 1 (mild) to 5.
      seed: of all draws, which differ from kind to kind and from strength to strength.

    Returns:
      uint8 [N, H, W].

    Raises:
      ValueError: an unknown kind or strength.
    """
    if kind not in KINDS or strength not in STRENGTHS:
        raise ValueError(f"no corruption {kind!r} of strength {strength}: use 1 to 5 of {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), strength])
    worse = KINDS[kind](rng, images.astype(np.float32) / 255, strength)
    return np.rint(255 * np.clip(worse, 0, 1)).astype(np.uint8)


def _of(strength: int, values: tuple[float, ...]) -> float:
    return values[strength - 1]


def _gaussian_noise(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Noise of the same strength everywhere."""
    return x + rng.normal(0, _of(strength, (0.08, 0.14, 0.2, 0.27, 0.35)), x.shape)


def _shot_noise(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Few photons: noise that grows with the light."""
    photons = _of(strength, (40, 20, 10, 6, 4))
    return 1 - rng.poisson(photons * (1 - 0.8 * x)) / photons


def _impulse_noise(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Single pixels of full ink or paper."""
    u = rng.random(x.shape)
    share = _of(strength, (0.03, 0.07, 0.12, 0.18, 0.25))
    return np.where(u < share / 2, 0.0, np.where(u < share, 1.0, x))


def _defocus(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """A lens out of focus."""
    from scipy import ndimage

    sigma = _of(strength, (0.6, 0.9, 1.2, 1.6, 2.0))
    return ndimage.gaussian_filter(x, (0, sigma, sigma))


def _motion(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """A camera that moves, in a direction of its own for each image."""
    reach = _of(strength, (1.0, 2.0, 3.0, 4.0, 5.0))
    angle = rng.uniform(0, np.pi, len(x))
    steps = np.linspace(-reach / 2, reach / 2, 9)
    return np.mean([_moved(x, s * np.sin(angle), s * np.cos(angle)) for s in steps], axis=0)


def _glass(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Every pixel is seen a little off its place."""
    reach = _of(strength, (0.4, 0.6, 0.8, 1.0, 1.3))
    return _moved(x, rng.normal(0, reach, x.shape), rng.normal(0, reach, x.shape))


def _background(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Darker paper."""
    level = _of(strength, (0.1, 0.2, 0.35, 0.5, 0.65))
    return level + (1 - level) * x


def _contrast(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Pale ink on grey paper."""
    left = _of(strength, (0.6, 0.45, 0.3, 0.2, 0.14))
    return 0.3 + left * (x - 0.3)


def _fog(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Clouds of uneven grey over ink and paper."""
    from scipy import ndimage

    field = ndimage.zoom(rng.random((len(x), 5, 5)), (1, x.shape[1] / 5, x.shape[2] / 5), order=1)
    thick = _of(strength, (0.2, 0.35, 0.5, 0.65, 0.8))
    return x * (1 - 0.6 * thick) + thick * field


def _rotation(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Turned, to either side."""
    angle = np.deg2rad(_of(strength, (8, 14, 20, 26, 32))) * rng.choice([-1, 1], len(x))
    cos, sin = np.cos(angle), np.sin(angle)
    return _affine(x, np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2))


def _scale(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Smaller, or a little larger."""
    down, up = _of(strength, (0.85, 0.75, 0.66, 0.58, 0.5)), _of(strength, (1.08, 1.12, 1.16, 1.2, 1.24))
    factor = np.where(rng.random(len(x)) < 0.5, down, up)
    return _affine(x, np.eye(2) / factor[:, None, None])


def _shear(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Slanted, to either side."""
    slant = _of(strength, (0.15, 0.27, 0.4, 0.52, 0.65)) * rng.choice([-1, 1], len(x))
    matrix = np.tile(np.eye(2), (len(x), 1, 1))
    matrix[:, 1, 0] = slant
    return _affine(x, matrix)


def _lines(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Straight lines across the image, as of ruled paper or crossed out."""
    y, z = np.mgrid[: x.shape[1], : x.shape[2]] - (np.array(x.shape[1:]).reshape(2, 1, 1) - 1) / 2
    for _ in range(int(_of(strength, (1, 2, 2, 3, 4)))):
        angle, offset = (rng.uniform(*ends, (len(x), 1, 1)) for ends in ((0, np.pi), (-10, 10)))
        away = np.abs(y * np.cos(angle) + z * np.sin(angle) - offset)
        grey = rng.uniform(0.3, _of(strength, (0.6, 0.7, 0.8, 0.9, 1.0)), (len(x), 1, 1))
        x = np.maximum(x, grey * np.clip(1.1 - away, 0, 1))
    return x


def _spatter(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Drops of ink."""
    y, z = np.mgrid[: x.shape[1], : x.shape[2]]
    for _ in range(int(_of(strength, (2, 4, 6, 8, 11)))):
        down, across = (rng.uniform(0, side, (len(x), 1, 1)) for side in x.shape[1:])
        radius = rng.uniform(0.5, 1.8, (len(x), 1, 1))
        x = np.maximum(x, np.clip(radius + 0.5 - np.hypot(y - down, z - across), 0, 1))
    return x


def _neighbours(rng: np.random.Generator, x: np.ndarray, strength: int) -> np.ndarray:
    """Remains of other digits at the left and the right edge: a crop that is too wide."""
    for side in (-1, 1):
        shift = 28 - round(_of(strength, (3, 5, 6, 7, 8))) - 4
        other = np.roll(x, int(rng.integers(1, max(2, len(x)))), axis=0)
        moved = np.zeros_like(other)
        if side < 0:
            moved[:, :, : x.shape[2] - shift] = other[:, :, shift:]
        else:
            moved[:, :, shift:] = other[:, :, : x.shape[2] - shift]
        x = np.maximum(x, moved)
    return x


def _moved(x: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Each pixel from another place, bilinearly: down, across [N] or [N, H, W] pixels."""
    from scipy import ndimage

    down, across = (np.broadcast_to(d.reshape(len(x), 1, 1) if d.ndim == 1 else d, x.shape) for d in (down, across))
    n, y, z = np.indices(x.shape)
    return ndimage.map_coordinates(x, [n, y + down, z + across], order=1, mode="constant", prefilter=False)


def _affine(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Images about their middle: matrix [N, 2, 2] takes a point of the result (y, x) to one of the image."""
    middle = (np.array(x.shape[1:]) - 1) / 2
    points = np.moveaxis(np.indices(x.shape[1:]), 0, -1) - middle
    there = np.einsum("nij,hwj->nhwi", matrix, points)
    return _moved(x, there[..., 0] - points[..., 0], there[..., 1] - points[..., 1])


FAMILIES: dict[str, dict[str, Kind]] = {
    "noise": {"gaussian noise": _gaussian_noise, "shot noise": _shot_noise, "impulse noise": _impulse_noise},
    "blur": {"defocus": _defocus, "motion": _motion, "glass": _glass},
    "light": {"background": _background, "contrast": _contrast, "fog": _fog},
    "geometry": {"rotation": _rotation, "scale": _scale, "shear": _shear},
    "clutter": {"lines": _lines, "spatter": _spatter, "neighbours": _neighbours},
}
KINDS = {name: kind for family in FAMILIES.values() for name, kind in family.items()}
