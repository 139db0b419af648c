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
    """The pixels of a mask, run by run: a run is a column of ink from its upper to its lower end."""

    y: np.ndarray  # int [n]
    x: np.ndarray  # int [n]
    run: np.ndarray  # int [n], the pixel's run
    is_thin: np.ndarray  # bool [n], in a run no taller than a line
    middle_y: np.ndarray  # int [m], of each thin run
    middle_x: np.ndarray  # int [m]


def _ink(mask: np.ndarray, thickest_px: int) -> _Ink:
    height = mask.shape[0] + 1  # with a row of paper below, at which every run has ended
    columns = np.zeros((mask.shape[1], height), np.int8)
    columns[:, :-1] = mask.T
    change = np.diff(columns.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    lengths = ends - starts
    run = np.repeat(np.arange(starts.size), lengths)
    x, y = np.divmod(np.flatnonzero(columns), height)
    thin = lengths <= thickest_px
    middle_x, middle_y = np.divmod(((starts + ends) // 2)[thin], height)
    return _Ink(y, x, run, thin[run], middle_y, middle_x)


def _lines(ink: _Ink, shape: tuple[int, int], least: float = LINE_SHARE) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The slopes at which lines lie: for each the row int [n] of every pixel of ink in a picture sheared by it, and
    where lines are in that picture, bool [h, w]; they cover `least` of the width, or all of it."""
    height, width = shape
    some = ink.middle_x % EVERY == 0
    some_y, some_x = ink.middle_y[some], ink.middle_x[some]
    thin_y, thin_x = ink.y[ink.is_thin], ink.x[ink.is_thin]
    visible = VISIBLE_SHARE * least / LINE_SHARE
    for slope in LINE_SLOPES:
        few = _sheared(some_y, some_x, slope, shape)
        counts = np.convolve(np.bincount(few, minlength=height), np.ones(3), "same")
        likely = np.flatnonzero(counts >= visible * (width // EVERY))
        if not likely.size:
            continue  # spares the count by columns
        thin = _cells(_sheared(thin_y, thin_x, slope, shape), thin_x, shape, likely)
        visible_share = thin.mean(axis=1)
        likely, thin, visible_share = (of[visible_share >= visible] for of in (likely, thin, visible_share))
        if not likely.size:
            continue  # spares the look at all ink
        row = _sheared(ink.y, ink.x, slope, shape)
        all_ink = _cells(row, ink.x, shape, likely)
        share = all_ink.mean(axis=1)
        found = np.zeros(shape, bool)
        whole = (share >= LINE_SHARE) & (visible_share >= VISIBLE_SHARE)
        found[likely[(share >= least) & whole]] = True
        parts = np.flatnonzero((share >= least) & ~whole)
        found[likely[parts]] = _longest(all_ink[parts], thin[parts])
        if found.any():
            yield row, found


def _sheared(y: np.ndarray, x: np.ndarray, slope: float, shape: tuple[int, int]) -> np.ndarray:
    """The rows of pixels in a picture sheared by a slope about its middle column. int [n], int [n] -> int [n]."""
    down = np.rint(slope * (np.arange(shape[1]) - shape[1] / 2)).astype(int)
    return np.clip(y - down[x], 0, shape[0] - 1)


def _longest(covered: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The columns of the longest line in each row, bool [n, w], bool [n, w] -> bool [n, w]; none of a row in which it
    is too short or too broken."""
    width = covered.shape[1]
    found = np.zeros(covered.shape, bool)
    row, column = np.nonzero(covered)  # a page of texture has thousands of such rows: all at once
    if not row.size:
        return found
    starts = np.flatnonzero(np.diff(row, prepend=-1) | (np.diff(column, prepend=0) > max(1, round(GAP * width))))
    inked = np.diff(starts, append=row.size)  # columns with ink in each run
    of, left, right = row[starts], column[starts], column[starts + inked - 1] + 1
    most = np.lexsort((np.arange(of.size), -inked, of))  # in each row the run with the most, the first of equals
    best = most[np.flatnonzero(np.diff(of[most], prepend=-1))]
    seen = np.pad(np.cumsum(visible, axis=1), ((0, 0), (1, 0)))
    for i in best[right[best] - left[best] >= LONG * width]:
        length = right[i] - left[i]
        shown = seen[of[i], right[i]] - seen[of[i], left[i]]
        found[of[i], left[i] : right[i]] = inked[i] / length >= WHOLE and shown / length >= VISIBLE_SHARE
    return found


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
    of_line = np.zeros(int(ink.run[-1]) + 1 if ink.run.size else 0, bool)  # runs, so the whole thickness of the line
    for row, is_line in _lines(ink, mask.shape):
        of_line[ink.run[ndimage.maximum_filter1d(is_line, 3, axis=0)[row, ink.x] & ink.is_thin]] = True
    gone = of_line[ink.run]
    found = np.zeros(mask.shape, bool)
    found[ink.y[gone], ink.x[gone]] = True
    if not gone.any():
        return found
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
