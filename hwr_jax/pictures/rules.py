"""Printed lines: ruled paper, margins, grids. Owns their removal, by their shape or by their being paler than ink."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

LINE_SHARE = 0.8  # a ruled line, with the strokes that cross it, covers this share of the picture's width
VISIBLE_SHARE = 0.4  # and this share of the width is not crossed by strokes
LINE_THICK_SHARE = 0.04  # and is thinner than this share of the picture's side
MIN_LINED_PX = 48  # in smaller pictures a ruled line is no thinner than a stroke
LINE_SLOPES = np.tan(np.deg2rad(np.arange(-6, 6.1, 0.25)))  # paper is rarely photographed more tilted
EVERY = 4  # of the columns, one in this many decides whether a slope is worth a closer look
LONG, WHOLE = 0.4, 0.9  # or it is as long as this share of the width, and covers this share of its own length
GAP = 0.02  # of the width: where it is broken for longer, it ends
PALE_PX, PALE_THICK = 5, 0.008  # a printed line with its soft edge is no thicker: pixels, or share of the longer side
REACH_PX = 2  # of a stroke's soft edge, which is as pale as the line
OF_LINE = 35  # percentile of the contrasts along a line that is its own: up to two thirds of it may be crossed by ink
PALE = 0.7  # times the contrast of the ink: a line that is darker may be a stroke
INK = 1.5  # times the contrast of the line that it crosses: ink; paler is the line


def without_pale_lines(contrast: np.ndarray, floor: float, full: float) -> np.ndarray:
    """Sets printed lines and grids to paper where they are paler than the ink, so that the strokes stay whole.

    Args:
        contrast: float32 [h, w], how much darker than the paper each pixel is.
        floor: what is fainter is texture.
        full: the contrast of the ink.

    Returns:
        float32 [h, w]; `contrast` itself if there are no such lines.
    """
    if min(contrast.shape) < MIN_LINED_PX:
        return contrast
    level = _pale(contrast, floor, full) | _pale(contrast.T, floor, full).T
    return np.where(level, np.float32(0), contrast) if level.any() else contrast


def without_lines(mask: np.ndarray) -> np.ndarray:
    """Erase ruled lines and grids by their shape. bool [h, w] -> bool [h, w]; unchanged if little else is there."""
    if min(mask.shape) < MIN_LINED_PX:
        return mask
    rest = mask & ~_rows(mask)
    rest &= ~_rows(mask.T).T
    return rest if rest.sum() > 0.1 * mask.sum() else mask


class _Ink(NamedTuple):
    """The pixels of a mask, and those of them that a thin line may have."""

    y: np.ndarray  # int [n]
    x: np.ndarray  # int [n]
    is_thin: np.ndarray  # bool [n], in a column of ink no taller than a line
    columns: np.ndarray  # int [h, w], the label of each column of ink
    tall: np.ndarray  # bool [h, w], the pixels that are not thin


def _ink(mask: np.ndarray, thickest_px: int) -> _Ink:
    from scipy import ndimage

    columns, _ = ndimage.label(mask, np.array([[0, 1, 0]] * 3))
    tall = np.bincount(columns.ravel())[columns] > thickest_px
    y, x = np.nonzero(mask)
    return _Ink(y, x, ~tall[y, x], columns, tall)


def _lines(ink: _Ink, shape: tuple[int, int], least: float = LINE_SHARE) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The slopes at which lines lie: for each the row int [n] of every pixel of ink in a picture sheared by it, and
    where lines are in that picture, bool [h, w]; they cover `least` of the width, or all of it."""
    height, width = shape
    some = (ink.x % EVERY == 0) & ink.is_thin
    some_y, some_x = ink.y[some], ink.x[some] - width / 2
    visible = VISIBLE_SHARE * least / LINE_SHARE
    for slope in LINE_SLOPES:
        few = np.clip(some_y - np.rint(slope * some_x).astype(int), 0, height - 1)
        counts = np.convolve(np.bincount(few, minlength=height), np.ones(3), "same")
        likely = np.flatnonzero(counts >= visible * (width // EVERY))
        if not likely.size:
            continue  # spares the count by columns
        row = np.clip(ink.y - np.rint(slope * (ink.x - width / 2)).astype(int), 0, height - 1)
        thin, all_ink = (_cells(row[which], ink.x[which], shape, likely) for which in (ink.is_thin, slice(None)))
        candidates = [i for i in range(likely.size) if thin[i].mean() >= visible and all_ink[i].mean() >= least]
        found = np.zeros(shape, bool)
        for i in candidates:
            whole = all_ink[i].mean() >= LINE_SHARE and thin[i].mean() >= VISIBLE_SHARE
            found[likely[i], slice(None) if whole else _longest(all_ink[i], thin[i])] = True
        if found.any():
            yield row, found


def _longest(covered: np.ndarray, visible: np.ndarray) -> slice:
    """The columns of the longest line in a row, bool [w], bool [w]; none, if it is too short or too broken."""
    columns = np.flatnonzero(covered)
    breaks = np.flatnonzero(np.diff(columns) > max(1, round(GAP * covered.size))) + 1
    run = max(np.split(columns, breaks), key=len)
    part = slice(int(run[0]), int(run[-1]) + 1)
    long = part.stop - part.start >= LONG * covered.size
    return part if long and covered[part].mean() >= WHOLE and visible[part].mean() >= VISIBLE_SHARE else slice(0)


def _pale(contrast: np.ndarray, floor: float, full: float) -> np.ndarray:
    """The pixels of level lines, without those of darker strokes that cross them: bool [h, w]."""
    from scipy import ndimage

    height, width = contrast.shape
    mask = contrast > floor
    ink = _ink(mask, max(PALE_PX, round(PALE_THICK * max(height, width))))
    value = contrast[ink.y, ink.x]
    gone = np.zeros(len(ink.y), bool)
    for row, is_line in _lines(ink, contrast.shape, LONG):
        groups, count = ndimage.label(ndimage.maximum_filter1d(is_line, 3, axis=0))
        group = groups[row, ink.x]
        for number in range(1, count + 1):
            here = np.flatnonzero(group == number)
            peak = np.zeros(width, contrast.dtype)
            np.maximum.at(peak, ink.x[here], value[here])
            of_line = float(np.percentile(peak[peak > 0], OF_LINE))
            if of_line < PALE * full:
                gone[here] |= value[here] < INK * of_line
    found = np.zeros(contrast.shape, bool)
    found[ink.y[gone], ink.x[gone]] = True
    if not found.any():
        return found
    beside = ndimage.maximum_filter(np.where(found, contrast, 0), (3, 1))  # the soft edge is fainter than the line
    found |= ndimage.maximum_filter(found, (3, 1)) & (contrast <= beside)
    strokes = (contrast > INK * np.median(contrast[found])) & ~found
    return found & ~ndimage.maximum_filter(strokes, (2 * REACH_PX + 1, 1))


def _rows(mask: np.ndarray) -> np.ndarray:
    """The pixels of thin lines from the left to the right side of the picture, of any slope in `LINE_SLOPES`.

    A column of ink taller than a line is a stroke that crosses it, and is not counted. Nothing is a line if the rest
    is nearly as wide: then it is the bar of a 4 or 7 in a tight crop. bool [h, w] -> bool [h, w].
    """
    from scipy import ndimage

    height, width = mask.shape
    ink = _ink(mask, max(1, round(LINE_THICK_SHARE * min(height, width))))
    found = np.zeros(mask.shape, bool)
    for row, is_line in _lines(ink, mask.shape):
        on_line = ndimage.maximum_filter1d(is_line, 3, axis=0)[row, ink.x] & ink.is_thin
        found[ink.y[on_line], ink.x[on_line]] = True
    found = mask & ~ink.tall & np.isin(ink.columns, np.unique(ink.columns[found]))  # whole thickness of the line
    if ndimage.label(ndimage.maximum_filter(found, 3).any(axis=1))[1] > 1:
        return found
    columns_of_rest = np.nonzero(mask & ~found)[1]
    left, right = np.percentile(columns_of_rest, (2, 98)) if columns_of_rest.size else (0, width)
    return found if right - left < 0.8 * width else np.zeros_like(mask)


def _cells(row: np.ndarray, x: np.ndarray, shape: tuple[int, int], wanted: np.ndarray) -> np.ndarray:
    """Whether a pixel lies within one row of each wanted one. int [n], int [n], (h, w), int [k] -> bool [k, w]."""
    place = np.full(shape[0] + 2, -1)  # of a row among those that are looked at, with one above the first and below
    rows = np.unique(np.concatenate([wanted, wanted + 1, wanted + 2]))
    place[rows] = np.arange(rows.size)
    at = place[row + 1]
    cells = np.zeros((rows.size, shape[1]), bool)
    cells[at[at >= 0], x[at >= 0]] = True
    return cells[place[wanted]] | cells[place[wanted + 1]] | cells[place[wanted + 2]]
