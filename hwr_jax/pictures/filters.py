"""Some of SciPy's filters, made quicker without another result: a page has a million pixels. Owns no limits."""

from __future__ import annotations

import functools

import numpy as np

REACH = 4.0  # standard deviations: SciPy's Gaussian ends there
BLOCK = 64  # rows that are smoothed at a time


def gaussian(values: np.ndarray, sigma_px: float, mode: str = "reflect") -> np.ndarray:
    """`scipy.ndimage.gaussian_filter` by products of matrices: the same values in a third of the time.

    Args:
        values: float32 [h, w].
        sigma_px: standard deviation.
        mode: what is outside: "reflect" (the picture's mirror image) or "nearest" (its outermost pixels).

    Returns:
        float32 [h, w].
    """
    down, across = (_smoothing(side, sigma_px, mode) for side in values.shape)
    return _product(across, _product(down, values, sigma_px).T, sigma_px).T


def _product(matrix: np.ndarray, values: np.ndarray, sigma_px: float) -> np.ndarray:
    """A smoothing matrix [n, n] by float32 [n, m], in float64 as SciPy does, without the zeros far from its diagonal:
    float32 [n, m]."""
    side, reach = len(matrix), _reach(sigma_px)
    found = np.empty(values.shape, np.float32)
    for first in range(0, side, BLOCK):
        near = slice(max(0, first - reach), min(side, first + BLOCK + reach))
        found[first : first + BLOCK] = matrix[first : first + BLOCK, near] @ values[near]
    return found


def _reach(sigma_px: float) -> int:
    return int(REACH * sigma_px + 0.5)


@functools.lru_cache(32)
def _smoothing(side: int, sigma_px: float, mode: str) -> np.ndarray:
    """What a Gaussian does to a line of pixels: float64 [side, side]."""
    reach = _reach(sigma_px)
    weights = np.exp(-0.5 / sigma_px**2 * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    of = np.arange(side)[:, None] + np.arange(-reach, reach + 1)
    if mode == "reflect":
        of %= 2 * side
        of = np.minimum(of, 2 * side - 1 - of)
    else:
        of = np.clip(of, 0, side - 1)
    places = of + side * np.arange(side)[:, None]
    return np.bincount(places.ravel(), np.tile(weights, side), side * side).reshape(side, side)


def mean_of_four(values: np.ndarray) -> np.ndarray:
    """The mean of each pixel, the one above, the one on the left and that between: float32 [h, w] -> float32 [h, w]. It
    is `scipy.ndimage.uniform_filter` of size 2."""
    rows = values.copy()
    rows[1:] += values[:-1]
    rows[1:] *= np.float32(0.5)
    found = rows.copy()
    found[:, 1:] += rows[:, :-1]
    found[:, 1:] *= np.float32(0.5)
    return found


def highest(values: np.ndarray, reach_px: int) -> np.ndarray:
    """The largest value up to `reach_px` rows above and below each pixel: [h, w] -> [h, w]."""
    found = values.copy()
    for away in range(1, reach_px + 1):
        np.maximum(found[away:], values[:-away], out=found[away:])
        np.maximum(found[:-away], values[away:], out=found[:-away])
    return found


def largest_of_blocks(values: np.ndarray, side_px: int) -> np.ndarray:
    """The largest value of each square block that lies within: [h, w] -> [h // side_px, w // side_px]."""
    for axis in (0, 1):
        blocks = np.moveaxis(values, axis, 0)
        whole = blocks[: len(blocks) // side_px * side_px]
        found = whole[::side_px].copy()
        for k in range(1, side_px):
            np.maximum(found, whole[k::side_px], out=found)
        values = np.moveaxis(found, 0, axis)
    return np.ascontiguousarray(values)


def median_of_nine(values: np.ndarray) -> np.ndarray:
    """`scipy.ndimage.median_filter` of size 3, with the outermost pixels repeated: [h, w] -> [h, w].

    Of three sorted columns the median is the middle one of three: the largest of the lowest, the middle of the middle,
    and the smallest of the highest values.
    """
    wide = np.pad(values, 1, mode="edge")
    low, middle, high = _sorted(wide[:-2], wide[1:-1], wide[2:])
    lowest = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    highest = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return _sorted(lowest, _sorted(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])[1], highest)[1]


def _sorted(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three arrays of one shape, at each place in order."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    middle = np.minimum(high, c)
    return np.minimum(low, middle), np.maximum(low, middle), np.maximum(high, c)
