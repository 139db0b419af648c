"""The projective map between a sheet as a camera sees it and the rectangle that it is."""

from __future__ import annotations

import itertools

import numpy as np

STRAIGHT = 0.95  # four straight lines hold this share of the region that they are drawn around, and it of them
MIDDLE = 0.15  # of a side, at each end, that its line is not fitted to: corners are round
MANY = 9  # corners of a polygon that may be the four of a sheet
ASIDE = 3.0, 0.03  # pixels, and share of its length: what lies farther from the line between two corners is not on it
LEAST_DEG, MOST_DEG = 1.5, 30.0  # a side is turned by more than this: less is hardly seen, more is no way to write


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The projective map [3, 3] that takes four points x, y [4, 2] to four others.

    Raises:
        LinAlgError: three of them lie on a line.
    """
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)


def moved(by: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points x, y [n, 2] where a map [3, 3] takes them."""
    whole = np.column_stack([points, np.ones(len(points))]) @ by.T
    return whole[:, :2] / whole[:, 2:]


def scaled(origin: tuple[float, float], scale: tuple[float, float]) -> np.ndarray:
    """The map [3, 3] that multiplies x and y by `scale`, and then moves 0, 0 to `origin`."""
    return np.array([[scale[0], 0.0, origin[0]], [0.0, scale[1], origin[1]], [0.0, 0.0, 1.0]])


def corners_of(mask: np.ndarray) -> np.ndarray | None:
    """The corners x, y [4, 2] of a region with four straight sides, bool [h, w]: upper left, upper right, lower right,
    lower left; None if it has another shape, or is cut off by the picture's outline.

    The hull's four main corners divide its outline into sides; each side is a line fitted to the pixels along it.
    """
    from scipy import ndimage, spatial

    if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
        return None
    rim = np.argwhere(mask & ~ndimage.binary_erosion(mask))[:, ::-1].astype(float)
    try:
        ring = _four(rim[spatial.ConvexHull(rim).vertices])
        fitted = [_line(rim, a, b) for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True)]
        lines = [line for line in fitted if line is not None]
        if len(lines) < 4:
            return None
        pairs = itertools.pairwise([lines[-1], *lines])
        crossings = [np.linalg.solve([a[:2], b[:2]], [a[2], b[2]]) for a, b in pairs]
    except (spatial.QhullError, np.linalg.LinAlgError):  # no area, or two neighbours are parallel
        return None
    found = _in_order(np.array(crossings))
    area = float(mask.sum()) - len(rim) / 2  # the rim's middles are half a pixel inside
    return found if STRAIGHT < _area(found) / max(area, 1.0) < 1 / STRAIGHT else None


def is_askew(corners: np.ndarray) -> bool:
    """Whether a side of a sheet, x, y [4, 2], is turned so much that straightening pays, and not so much that nobody
    knows which side is up."""
    across, down = corners[[1, 2]] - corners[[0, 3]], corners[[3, 2]] - corners[[0, 1]]
    turned = np.rad2deg(np.concatenate([np.arctan2(across[:, 1], across[:, 0]), np.arctan2(-down[:, 0], down[:, 1])]))
    return LEAST_DEG < float(np.abs(turned).max()) < MOST_DEG


def straightened(values: np.ndarray, corners: np.ndarray, *, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """The rectangle between four corners of a picture.

    Args:
        values: float32 [h, w].
        corners: x, y [4, 2] from the upper left one clockwise, in its pixels.
        outside: the value of what lies outside of the picture.

    Returns:
        float32 [h', w'], as large as the longer of two opposite sides; and the map [3, 3] from its pixels, x, y, to
        those of `values`.
    """
    from PIL import Image

    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    width, height = (max(1, round(max(sides[i], sides[i + 2]))) for i in (0, 1))
    back = homography(np.array([(0, 0), (width, 0), (width, height), (0, height)], float), corners)
    picture = Image.fromarray(values.astype(np.float32, copy=False)).transform(
        (width, height), Image.Transform.PERSPECTIVE, back.ravel()[:8].tolist(), Image.Resampling.BICUBIC,
        fillcolor=outside,
    )  # fmt: skip
    return np.asarray(picture), back


def _four(ring: np.ndarray) -> np.ndarray:
    """The four corners of a polygon [n, 2] that span most of it, of the `MANY` whose loss would cost the most."""
    while len(ring) > MANY:
        a, b = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
        ring = np.delete(ring, np.argmin(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])), axis=0)
    if len(ring) < 4:
        return ring
    fours = ring[np.array(list(itertools.combinations(range(len(ring)), 4)))]
    return fours[_areas(fours).argmax()]


def _line(rim: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray | None:
    """The line n_x x + n_y y = d, as [n_x, n_y, d], of the rim's pixels [n, 2] between two corners; None: too few."""
    length = float(np.linalg.norm(end - start))
    along = (end - start) / max(length, 1e-9)
    where = (rim - start) @ along / max(length, 1e-9)
    away = np.abs((rim - start) @ np.array([-along[1], along[0]]))
    own = rim[(where > MIDDLE) & (where < 1 - MIDDLE) & (away < max(ASIDE[0], ASIDE[1] * length))]
    if len(own) < 4:
        return None
    middle = own.mean(0)
    normal = np.linalg.svd(own - middle, full_matrices=False)[2][1]
    return np.append(normal, normal @ middle)


def _in_order(corners: np.ndarray) -> np.ndarray:
    """Clockwise on the screen from the corner nearest to the upper left."""
    away = corners - corners.mean(0)
    ring = corners[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]
    return np.roll(ring, -int(np.argmin(ring.sum(1))), axis=0)


def _area(ring: np.ndarray) -> float:
    return float(_areas(ring[None])[0])


def _areas(rings: np.ndarray) -> np.ndarray:
    """The areas of polygons, x, y [N, n, 2]: float [N]."""
    after = np.roll(rings, -1, axis=1)
    return np.abs((rings[..., 0] * after[..., 1] - after[..., 0] * rings[..., 1]).sum(axis=1)) / 2
