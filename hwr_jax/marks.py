"""Which marks in a picture form the digit. Owns the removal of ruled lines, page edges, frames and specks.

A mark is a connected component of ink. Does not decide what is ink (`ink.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GAP_SHARE = 0.012  # parts closer than this share of the picture's longer side are one mark: a broken pen line
SPECK_SHARE = 0.04  # a mark with less ink than this share of the digit's is a speck
NEAR_SHARE = 0.35  # parts of one digit lie within this share of its longer side
EDGE_SHARE = 0.06  # the strip along the picture's outline where page edges and table lie
LINE_SHARE = 0.75  # a ruled line covers this share of the picture's width
LINE_THICK_SHARE = 0.04  # and is thinner than this share of the picture's side
LINE_SLOPES = np.tan(np.deg2rad(np.arange(-6, 6.1, 0.5)))  # paper is rarely photographed more tilted


class Mark(NamedTuple):
    """One connected component."""

    label: int
    mass: float  # sum of contrast
    top: int
    left: int
    bottom: int  # exclusive
    right: int  # exclusive
    sides: int  # of the picture's four sides, how many it touches
    edge: float  # share of its pixels in the strip along the picture's outline

    @property
    def length(self) -> int:
        return max(self.bottom - self.top, self.right - self.left)


def digit_mask(weak: np.ndarray, strong: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """Where the digit and its soft edges are.

    Args:
        weak: bool [h, w], possibly ink.
        strong: bool [h, w], surely ink; a mark without any is dropped.
        contrast: float32 [h, w] in 0..1.

    Returns:
        bool [h, w], the digit's marks widened by the soft edge of a stroke.
    """
    from scipy import ndimage

    weak = without_lines(weak)
    gap = max(1, round(GAP_SHARE * max(weak.shape)))
    labels, _ = ndimage.label(_widen(weak, gap if gap > 1 else 0), np.ones((3, 3)))
    labels = np.where(weak, labels, 0)
    keep = {mark.label for mark in chosen(_marks(labels, contrast, strong), weak.shape)}
    return _widen(np.isin(labels, list(keep)) if keep else weak, max(1, round(0.006 * max(weak.shape))))


def _widen(mask: np.ndarray, by_px: int) -> np.ndarray:
    from scipy import ndimage

    return ndimage.maximum_filter(mask, size=2 * by_px + 1) if by_px else mask


def _marks(labels: np.ndarray, contrast: np.ndarray, strong: np.ndarray) -> list[Mark]:
    """Measure the components that hold strong ink. int [h, w], float32 [h, w], bool [h, w] -> marks."""
    from scipy import ndimage

    height, width = labels.shape
    strip = max(1, round(EDGE_SHARE * min(height, width)))
    at_edge = np.ones(labels.shape, bool)
    at_edge[strip:-strip, strip:-strip] = False
    count = labels.max() + 1
    mass = np.bincount(labels.ravel(), contrast.ravel(), count)
    area = np.bincount(labels.ravel(), minlength=count)
    edge = np.bincount(labels[at_edge], minlength=count) / np.maximum(area, 1)
    sure = np.bincount(labels[strong], minlength=count)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or not sure[label]:
            continue
        (top, bottom), (left, right) = ((part.start, part.stop) for part in box)
        sides = (top == 0) + (left == 0) + (bottom == height) + (right == width)
        found.append(Mark(label, mass[label], top, left, bottom, right, sides, edge[label]))
    return found


def chosen(marks: list[Mark], shape: tuple[int, int]) -> list[Mark]:
    """The marks of the digit: the heaviest that is no page edge or frame, and what lies near and is no speck."""
    inner = [mark for mark in marks if not _is_page_edge(mark) and not _is_frame(mark, marks)]
    total = sum(mark.mass for mark in marks)
    if sum(mark.mass for mark in inner) < 0.05 * total:
        inner = marks
    if not inner:
        return []
    main = max(inner, key=lambda mark: mark.mass * _centrality(mark, shape))
    reach = NEAR_SHARE * main.length
    return [mark for mark in inner if mark.mass >= SPECK_SHARE * main.mass and _gap(mark, main) <= reach]


def _is_page_edge(mark: Mark) -> bool:
    """Touches the outline and mostly stays along it."""
    return mark.sides > 0 and mark.edge > 0.5


def _is_frame(mark: Mark, marks: list[Mark]) -> bool:
    """Encloses another, smaller mark with some weight, and is thin for its size: little ink in a large box."""
    box = (mark.bottom - mark.top) * (mark.right - mark.left)
    return mark.mass < 0.2 * box and any(
        mark.top < other.top
        and mark.left < other.left
        and other.bottom < mark.bottom
        and other.right < mark.right
        and other.mass > 0.1 * mark.mass
        and other.length > 0.2 * mark.length
        for other in marks
    )


def _centrality(mark: Mark, shape: tuple[int, int]) -> float:
    """1 in the middle of the picture, 0.3 in its corners; a mark that is cut off by the outline counts less."""
    away_y = abs((mark.top + mark.bottom) / shape[0] - 1)
    away_x = abs((mark.left + mark.right) / shape[1] - 1)
    return (1 - 0.7 * max(away_y, away_x)) / (1 + mark.sides)


def _gap(mark: Mark, other: Mark) -> float:
    """Distance of two bounding boxes in pixels, 0 when they overlap."""
    return max(mark.top - other.bottom, other.top - mark.bottom, mark.left - other.right, other.left - mark.right, 0)


def without_lines(mask: np.ndarray) -> np.ndarray:
    """Erase ruled lines and grids. bool [h, w] -> bool [h, w]; unchanged if little else is there."""
    rest = mask & ~_rows(mask)
    rest &= ~_rows(mask.T).T
    return rest if rest.sum() > 0.1 * mask.sum() else mask


def _rows(mask: np.ndarray) -> np.ndarray:
    """The pixels of thin lines from the left to the right side of the picture, of any slope in `LINE_SLOPES`.

    A column of ink taller than a line is a stroke that crosses it, and is not counted. Nothing is a line if the rest
    is nearly as wide: then it is the bar of a 4 or 7 in a tight crop. bool [h, w] -> bool [h, w].
    """
    from scipy import ndimage

    height, width = mask.shape
    columns, _ = ndimage.label(mask, np.array([[0, 1, 0]] * 3))
    tall = np.bincount(columns.ravel())[columns] > max(1, round(LINE_THICK_SHARE * min(height, width)))
    y, x = np.nonzero(mask & ~tall)
    found = np.zeros(mask.shape, bool)
    for slope in LINE_SLOPES:
        row = np.clip(np.rint(y - slope * (x - width / 2)).astype(int), 0, height - 1)
        cells = np.zeros(mask.shape, bool)
        cells[row, x] = True
        covered = ndimage.maximum_filter1d(cells, 3, axis=0).mean(axis=1)
        on_line = ndimage.maximum_filter1d(covered >= LINE_SHARE, 3)[row]
        found[y[on_line], x[on_line]] = True
    if ndimage.label(ndimage.maximum_filter(found, 3).any(axis=1))[1] > 1:
        return found
    columns_of_rest = np.nonzero(mask & ~found)[1]
    left, right = np.percentile(columns_of_rest, (2, 98)) if columns_of_rest.size else (0, width)
    return found if right - left < 0.8 * width else np.zeros_like(mask)
