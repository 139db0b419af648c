"""Which marks in a picture form the digit. Owns the removal of page edges, frames and specks.

A mark is a connected component of ink. `ink.py` decides what is ink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hwr_jax.pictures import rules

EIGHT = np.ones((3, 3), int)  # diagonal neighbours touch
SOFT_SHARE = 0.006  # width of a stroke's soft edge, as a share of the picture's longer side
GAP_SHARE = 0.012  # parts closer than this share of the picture's longer side are one mark: a broken pen line
SPECK_SHARE = 0.04  # a mark with less ink than this share of the digit's is a speck
NEAR_SHARE = 0.35  # parts of one digit lie within this share of its longer side
EDGE_SHARE = 0.06  # the strip along the picture's outline where page edges and table lie
HUG_SHARE = 0.5  # a mark at the outline with more than this share of its pixels in the strip is a page edge
FRAME_SHARE, FRAME_FILL = 0.3, 0.2  # a frame is longer than this share of the picture, and its box emptier than this
SIDE_SHARE = 0.85  # a mark that covers more of one side of the picture is a table; a 7 that does stands alone
MIN_DIGIT_SHARE = 0.015  # page edges and frames are dropped only if more than this share of the ink remains
LINE_REACH = 0.5  # the middle of a mark of the line lies at most this share of its height above or below it


class Mark(NamedTuple):
    """One connected component."""

    label: int
    mass: float  # sum of darkness
    top: int
    left: int
    bottom: int  # exclusive
    right: int  # exclusive
    sides: int  # of the picture's four sides, how many it touches
    edge: float  # share of its pixels in the strip along the picture's outline
    cover: float  # largest share of one of the picture's sides that it covers

    @property
    def length(self) -> int:
        """Longer side of the box in pixels."""
        return max(self.bottom - self.top, self.right - self.left)


def digit_mask(
    weak: np.ndarray,
    strong: np.ndarray,
    darkness: np.ndarray,
    choose: Callable[[list[Mark], tuple[int, int]], list[Mark]] | None = None,
) -> tuple[np.ndarray, list[Mark]]:
    """Where the digit and its soft edges are, and all marks in the picture.

    Args:
        weak: bool [h, w], possibly ink.
        strong: bool [h, w], surely ink; a mark without any is dropped.
        darkness: float32 [h, w] in 0..1, 1 = as dark as ink gets here.
        choose: which marks are kept, of all in a picture [h, w]; None: `chosen`.

    Returns:
        bool [h, w], the digit's marks widened by the soft edge of a stroke; and the marks that remain without ruled
        lines, page edges and frames.
    """
    from scipy import ndimage

    weak = _without_outline(rules.without_lines(weak), strong, darkness)
    gap = round(GAP_SHARE * max(weak.shape))
    labels = np.where(weak, ndimage.label(_widen(weak, gap), EIGHT)[0], 0)
    marks = measured(labels, darkness, strong)
    keep = [mark.label for mark in (choose or chosen)(marks, weak.shape)]
    return _widen(np.isin(labels, keep), max(1, round(SOFT_SHARE * max(weak.shape)))), marks


def _without_outline(weak: np.ndarray, strong: np.ndarray, darkness: np.ndarray) -> np.ndarray:
    """Erase page edges and frames, unless hardly anything is left. bool [h, w] -> bool [h, w]."""
    from scipy import ndimage

    labels, _ = ndimage.label(weak, EIGHT)
    marks = measured(labels, darkness, strong)
    drop = [mark for mark in marks if is_page_edge(mark) or is_frame(mark, marks, max(weak.shape))]
    remains = sum(mark.mass for mark in marks) - sum(mark.mass for mark in drop)
    if remains < MIN_DIGIT_SHARE * sum(mark.mass for mark in marks):
        return weak
    return weak & ~np.isin(labels, [mark.label for mark in drop])


def _widen(mask: np.ndarray, by_px: int) -> np.ndarray:
    from scipy import ndimage

    return ndimage.maximum_filter(mask, size=2 * by_px + 1) if by_px else mask


def measured(labels: np.ndarray, darkness: np.ndarray, strong: np.ndarray) -> list[Mark]:
    """Measure the components that hold strong ink. int [h, w], float32 [h, w], bool [h, w] -> marks."""
    from scipy import ndimage

    height, width = labels.shape
    strip = max(1, round(EDGE_SHARE * min(height, width)))
    count = int(labels.max()) + 1
    is_ink = np.flatnonzero(labels)  # most of a page is paper
    of_ink = labels.ravel()[is_ink]
    mass = np.bincount(of_ink, darkness.ravel()[is_ink], count)
    area = np.bincount(of_ink, minlength=count)
    inner = labels[strip:-strip, strip:-strip]
    edge = (area - np.bincount(inner[inner > 0], minlength=count)) / np.maximum(area, 1)
    outline = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    cover = np.max([np.bincount(side, minlength=count) / side.size for side in outline], axis=0)
    sure = np.bincount(of_ink[strong.ravel()[is_ink]], minlength=count)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or not sure[label]:
            continue
        (top, bottom), (left, right) = ((part.start, part.stop) for part in box)
        sides = (top == 0) + (left == 0) + (bottom == height) + (right == width)
        found.append(Mark(label, mass[label], top, left, bottom, right, sides, edge[label], cover[label]))
    return found


def chosen(marks: list[Mark], shape: tuple[int, int]) -> list[Mark]:
    """The marks of the digit: the heaviest near the middle, and what lies near it and is no speck."""
    if not marks:
        return []
    main = max(marks, key=lambda mark: mark.mass * _centrality(mark, shape))
    reach = NEAR_SHARE * main.length
    return [mark for mark in marks if mark.mass >= SPECK_SHARE * main.mass and _gap(mark, main) <= reach]


def in_line(marks: list[Mark], shape: tuple[int, int]) -> list[Mark]:
    """The marks of the line of writing: the heaviest near the middle, and all beside it that are no specks."""
    if not marks:
        return []
    main = max(marks, key=lambda mark: mark.mass * _centrality(mark, shape))
    reach = LINE_REACH * (main.bottom - main.top)
    return [
        mark
        for mark in marks
        if mark.mass >= SPECK_SHARE * main.mass
        and main.top - reach <= (mark.top + mark.bottom) / 2 <= main.bottom + reach
    ]


def is_page_edge(mark: Mark) -> bool:
    """Mostly stays along the outline, or covers one side of the picture (a table, the next sheet)."""
    return mark.sides > 0 and (mark.edge > HUG_SHARE or mark.cover > SIDE_SHARE)


def is_frame(mark: Mark, marks: list[Mark], size_px: int) -> bool:
    """Large, thin for its size (little ink in a large box), and encloses a smaller mark with some weight."""
    box = (mark.bottom - mark.top) * (mark.right - mark.left)
    return (
        mark.length > FRAME_SHARE * size_px
        and mark.mass < FRAME_FILL * box
        and any(
            mark.top < other.top
            and mark.left < other.left
            and other.bottom < mark.bottom
            and other.right < mark.right
            and other.mass > 0.1 * mark.mass
            and other.length > 0.2 * mark.length
            for other in marks
        )
    )


def _centrality(mark: Mark, shape: tuple[int, int]) -> float:
    """1 in the middle of the picture, 0.3 in its corners; a mark that is cut off by the outline counts less."""
    away_y = abs((mark.top + mark.bottom) / shape[0] - 1)
    away_x = abs((mark.left + mark.right) / shape[1] - 1)
    return (1 - 0.7 * max(away_y, away_x)) / (1 + mark.sides)


def _gap(mark: Mark, other: Mark) -> float:
    """Distance of two bounding boxes in pixels, 0 when they overlap."""
    return max(mark.top - other.bottom, other.top - mark.bottom, mark.left - other.right, other.left - mark.right, 0)
