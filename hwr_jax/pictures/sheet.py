"""Where the sheet of paper lies in a picture: a card on a desk, a slate, a printed box. Owns the crop to it.

A sheet whose four corners are in the picture is straightened, if it is turned or seen from the side (`perspective`).

`ink.py` looks for the ink on what is left. A picture that is one sheet stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwr_jax.pictures import filters, perspective
from hwr_jax.pictures.resample import WORK_PX, shrink

LOOK_PX = 96  # a sheet is a property of large areas
LONG_PX, NARROW_PX = 384, 48  # more, at most, where the shorter side would be less: a strip's digits would vanish
LEVELS = 12  # thresholds between the darkest and the lightest: desk, paper and light differ from picture to picture
MIN_AREA, MAX_AREA = 0.06, 0.95  # of the picture; larger is the picture itself
MIN_SIDE_PX = 48  # in smaller pictures a sheet's edge is no straighter than a digit's
CONVEX = 0.94  # a sheet, without its ink, fills this share of its convex hull
CORNERS, STRAIGHT = 6, 0.95  # a polygon of this many corners fills this share of the hull: a 0 is round
MAX_OTHERS = 0.3  # of what is around the sheet, this share is as light as the sheet: else it is strokes, not a table
MOST_SIDES = 2  # of the picture, that a sheet may touch
MAX_INK = 0.5  # share of the sheet that is ink
CARD = (0.004, 0.12)  # with one digit: the least share that is ink, and the least length of its largest mark, as a
PAGE = (0.001, 0.03)  # share of the sheet's shorter side; and with many small ones
MIN_STEP = 0.12  # of the picture's range: the sheet differs from what is around it by more than this
SHARP = (
    0.5  # of the difference of the sheet and all that is around it: more lies in the step at its edge, or it is light
)


class Sheet(NamedTuple):
    """A sheet cut out of a picture, and where it was."""

    grey: np.ndarray  # float32 [h', w']: the crop, with the sheet's nearest pixels where it shows what is around it
    box: tuple[int, int, int, int]  # top, left, bottom, right in the picture
    to_picture: np.ndarray  # float [3, 3], the map from x, y of the crop to those of the picture
    is_straightened: bool


def crop_to_sheet(grey: np.ndarray) -> np.ndarray:
    """Cuts out the sheet that carries the ink, if it lies on something of another brightness.

    A sheet is a convex region with straight sides, lighter or darker than what is around it, that encloses ink and is
    wider than the ink's strokes. It may be tilted, and cut off by the picture's outline.

    Args:
        grey: uint8 or float32 [h, w] in 0..255.

    Returns:
        `grey` itself if there is no such sheet; else the crop, float32 [h', w'], about `WORK_PX` long at most.
    """
    found = cut(grey, WORK_PX, least_ink=CARD)
    return grey if found is None else found.grey


def cut(grey: np.ndarray, longer_px: int, *, least_ink: tuple[float, float] = PAGE) -> Sheet | None:
    """Cuts the sheet out of grey [h, w] as `crop_to_sheet` does, at most `longer_px` long; None if there is none."""
    from scipy import ndimage

    found = find_sheet(grey, least_ink)
    if found is None:
        return None
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    box = np.array([[rows[0], rows[-1] + 1], [columns[0], columns[-1] + 1]])
    ends = np.rint(box * np.array(grey.shape)[:, None] / np.array(found.shape)[:, None]).astype(int)
    (top, bottom), (left, right) = ends.tolist()
    part = shrink(grey[top:bottom, left:right], longer_px)
    back = perspective.scaled((left, top), ((right - left) / part.shape[1], (bottom - top) / part.shape[0]))
    corners = perspective.corners_of(found)
    if corners is not None:
        seen = (corners + 0.5) * (np.array(grey.shape) / np.array(found.shape))[::-1]
        if perspective.is_askew(seen):
            ring = perspective.moved(np.linalg.inv(back), seen)
            straight, to_part = perspective.straightened(part, ring, outside=float(np.median(part)))
            return Sheet(straight, (top, left, bottom, right), back @ to_part, True)
    inside = shrink(found[slice(*box[0]), slice(*box[1])].astype(np.float32), 10**6)
    zoom = [a / b for a, b in zip(part.shape, inside.shape, strict=True)]
    mask = ndimage.zoom(inside, zoom, order=1, mode="nearest", grid_mode=True) > 0.5
    if not mask.all() and mask.shape == part.shape:
        nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
        part = part[tuple(nearest)]
    return Sheet(part, (top, left, bottom, right), back, False)


def find_sheet(grey: np.ndarray, least_ink: tuple[float, float] = PAGE) -> np.ndarray | None:
    """The sheet in a picture reduced to `LOOK_PX` or more, without a rim of two pixels: bool [h, w], or None."""
    from scipy import ndimage

    if min(grey.shape) < MIN_SIDE_PX:
        return None
    look_px = max(LOOK_PX, min(LONG_PX, round(NARROW_PX * max(grey.shape) / min(grey.shape))))
    small = filters.median_of_nine(shrink(grey, look_px))
    darkest, lightest = np.percentile(small, (1, 99))
    best, best_score = None, 0.0
    for level in np.linspace(darkest, lightest, LEVELS + 2)[1:-1]:
        for region in (small > level, small <= level):
            labels, _ = ndimage.label(region)
            sizes = np.bincount(labels.ravel())[1:]
            for label in np.flatnonzero(sizes > 0.5 * MIN_AREA * small.size) + 1:
                score, filled = _score(labels == label, region, small, lightest - darkest, least_ink, best_score)
                if score > best_score:
                    best, best_score = filled, score
    return best


def _score(
    part: np.ndarray, region: np.ndarray, small: np.ndarray, span: float, least_ink: tuple[float, float], least: float
) -> tuple[float, np.ndarray]:
    """How much a part of a region is a sheet with ink on it, 0 for not at all or no more than `least`; and it with its
    ink, without its rim. What is quick to find out comes first."""
    from scipy import ndimage

    if sum(bool(side.any()) for side in (part[0], part[-1], part[:, 0], part[:, -1])) > MOST_SIDES:
        return 0.0, part  # a crop tight around a digit, the paper of the whole picture, or what lies around a sheet
    filled = ndimage.binary_fill_holes(part)
    area = filled.sum()
    if not MIN_AREA * small.size < area < MAX_AREA * small.size:
        return 0.0, filled
    if (region & ~filled).sum() > MAX_OTHERS * (~filled).sum():
        return 0.0, filled
    ink = filled & ~region
    least_share, least_length = least_ink
    if not least_share * area < ink.sum() < MAX_INK * area:
        return 0.0, filled
    step = _step(part, filled, small)
    whole = abs(np.median(small[part]) - np.median(small[~filled]))
    if step < max(MIN_STEP * span, SHARP * whole) or step * area <= least:
        return 0.0, filled
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    side = min(np.ptp(rows), np.ptp(columns)) + 1
    lengths = [
        max(s.stop - s.start for s in box) for box in ndimage.find_objects(ndimage.label(ink, np.ones((3, 3)))[0])
    ]
    if max(lengths) < least_length * side or not _is_polygon(filled):
        return 0.0, filled
    if ndimage.distance_transform_edt(ink).max() > ndimage.distance_transform_edt(part).max():
        return 0.0, filled
    return float(step * area), ndimage.binary_erosion(filled, iterations=2, border_value=1)


def _step(part: np.ndarray, filled: np.ndarray, small: np.ndarray) -> float:
    """How much the grey value changes at the edge of a part, which is `filled` with its ink."""
    from scipy import ndimage

    around = ndimage.binary_dilation(filled, iterations=3) & ~ndimage.binary_dilation(filled, iterations=1)
    rim = filled & ~ndimage.binary_erosion(filled, iterations=3, border_value=1)
    return abs(np.median(small[rim & part]) - np.median(small[around])) if around.any() else 0.0


def _is_polygon(filled: np.ndarray) -> bool:
    """Whether a region is convex, with straight sides and few corners."""
    from scipy import spatial

    rows = np.flatnonzero(filled.any(axis=1))
    left, right = filled[rows].argmax(axis=1), filled.shape[1] - 1 - filled[rows, ::-1].argmax(axis=1)
    points = np.column_stack([np.repeat(rows, 2), np.column_stack([left, right]).ravel()])  # the others lie between
    corners = np.concatenate([points + d for d in ((0, 0), (0, 1), (1, 0), (1, 1))])
    hull = spatial.ConvexHull(corners)
    if filled.sum() < CONVEX * hull.volume:
        return False
    ring = corners[hull.vertices].astype(float)
    while len(ring) > CORNERS:
        before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
        a, b = ring - before, after - ring
        ring = np.delete(ring, np.argmin(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])), axis=0)
    y, x = ring.T
    return abs(np.dot(y, np.roll(x, 1)) - np.dot(x, np.roll(y, 1))) / 2 > STRAIGHT * hull.volume
