"""Printed lines: ruled paper, margins, grids. Owns their removal, by their shape or by their being paler than ink."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwr_jax.pictures import filters

LINE_SHARE = 0.8  # a ruled line, with the strokes that cross it, covers this share of the picture's width
VISIBLE_SHARE = 0.4  # and this share of the width is not crossed by strokes
LINE_THICK_SHARE = 0.04  # and is thinner than this share of the picture's side
MIN_LINED_PX = 48  # in smaller pictures a ruled line is no thinner than a stroke
LINE_SLOPES = np.tan(np.deg2rad(np.arange(-6, 6.1, 0.25)))  # paper is rarely photographed more tilted
AT_ONCE = 500_000  # pixels that are sheared at a time
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
    lines = _both(_pale(contrast, floor, full), _pale(contrast.T, floor, full))
    return contrast if lines is None else np.where(lines, np.float32(0), contrast)


def without_lines(mask: np.ndarray) -> np.ndarray:
    """Erase ruled lines and grids by their shape. bool [h, w] -> bool [h, w]; unchanged if little else is there."""
    if min(mask.shape) < MIN_LINED_PX:
        return mask
    lines = _both(_rows(mask), _rows(mask.T))
    if lines is None:
        return mask
    rest = mask & ~lines
    return rest if rest.sum() > 0.1 * mask.sum() else mask


def _both(level: np.ndarray | None, upright: np.ndarray | None) -> np.ndarray | None:
    """Lines of a picture, bool [h, w], and of the same on its side, bool [w, h], together: bool [h, w]; None: none."""
    if upright is None:
        return level
    return upright.T if level is None else level | upright.T


class _Ink(NamedTuple):
    """A mask, column by column, and its runs: a run is a column of ink from its upper to its lower end.

    A place is an index into all columns one after the other, each with a pixel of paper above, at which runs end.
    """

    columns: np.ndarray  # bool [w, h + 1]
    starts: np.ndarray  # int [m], the place above each run
    lengths: np.ndarray  # int [m]
    is_thin: np.ndarray  # bool [m], no taller than a line

    def of_runs(self, wanted: np.ndarray) -> np.ndarray:
        """The pixels of some runs: bool [m] -> bool [w, h + 1]."""
        found = np.zeros(self.columns.size, bool)
        lengths = self.lengths[wanted]
        before = np.cumsum(lengths) - lengths
        found[np.arange(lengths.sum()) + np.repeat(self.starts[wanted] + 1 - before, lengths)] = True
        return found.reshape(self.columns.shape)

    def as_picture(self, columns: np.ndarray, like: np.ndarray) -> np.ndarray:
        """bool [w, h + 1] -> bool [h, w], in the order in memory of another picture [h, w]."""
        found = np.empty_like(like, bool)
        found[:] = columns.reshape(self.columns.shape)[:, 1:].T
        return found

    def within(self, lines: _Lines, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pixels of ink that lie in groups of cells of lines, int [k, w], 0 = of no group: int [n] each, their
        places, their columns and their groups."""
        height = self.columns.shape[1] - 1
        most = int(np.abs(lines.down).max())
        rows = np.arange(-most, height + most)  # of the sheared picture; what leaves it belongs to the outermost
        kept = lines.place[_clipped(rows, height)]
        y = rows[kept > 0][:, None] + lines.down
        row, x = np.nonzero((groups[kept[kept > 0]] > 0) & (y >= 0) & (y < height))
        places = x * (height + 1) + 1 + y[row, x]
        inked = self.columns.ravel()[places]
        row, x, places = row[inked], x[inked], places[inked]
        return places, x, groups[kept[kept > 0][row], x]


def _ink(mask: np.ndarray, thickest_px: int) -> _Ink:
    width, height = mask.shape[1], mask.shape[0] + 1
    flat = np.zeros(width * height + 1, bool)
    columns = flat[:-1].reshape(width, height)
    columns[:, 1:] = mask.T
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    return _Ink(columns, starts, lengths, lengths <= thickest_px)


class _Lines(NamedTuple):
    """Where lines lie in a picture that is sheared until they are level. Only their rows are kept, with one above and
    below; an empty row lies between those that are no neighbours."""

    down: np.ndarray  # int [w], how far each column is moved up
    place: np.ndarray  # int [h], of each row of that picture among those that are kept, 0 = it is not
    cells: np.ndarray  # bool [k, w], where lines are, within one row; the first row is empty


def _lines(ink: _Ink, least: float = LINE_SHARE) -> Iterator[_Lines]:
    """The slopes at which lines lie, and where; they cover `least` of the width, or all of it."""
    width, height = ink.columns.shape[0], ink.columns.shape[1] - 1
    thin = ink.starts[ink.is_thin]
    middle_x, middle_y = np.divmod(thin + ink.lengths[ink.is_thin] // 2, height + 1)
    some = middle_x % EVERY == 0
    all_ink = visible_ink = None
    visible = VISIBLE_SHARE * least / LINE_SHARE
    for down, likely in _likely(middle_y[some], middle_x[some], (height, width), visible * (width // EVERY)):
        if all_ink is None or visible_ink is None:
            all_ink, visible_ink = _Near(ink.columns), _Near(ink.of_runs(ink.is_thin))
        thin_cells = visible_ink.cells(down, likely)
        visible_share = thin_cells.mean(axis=1)
        likely, thin_cells = (of[visible_share >= visible] for of in (likely, thin_cells))
        visible_share = visible_share[visible_share >= visible]
        if not likely.size:
            continue  # spares the look at all ink
        covered = all_ink.cells(down, likely)
        share = covered.mean(axis=1)
        whole = (share >= LINE_SHARE) & (visible_share >= VISIBLE_SHARE)
        found = np.repeat(((share >= least) & whole)[:, None], width, axis=1)
        parts = np.flatnonzero((share >= least) & ~whole)
        found[parts] = _longest(covered[parts], thin_cells[parts])
        are_lines = found.any(axis=1)
        if are_lines.any():
            yield _kept(down, likely[are_lines], found[are_lines], height)


def _likely(
    y: np.ndarray, x: np.ndarray, shape: tuple[int, int], least: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields, for each slope at which some rows have at least `least` pixels within one row of them, how far each
    column is moved up, int [w], and these rows, int [k].

    It counts the given pixels alone, int [n] each, so that most slopes need no look at all columns.
    """
    height = shape[0]
    shears = _shears(shape[1])
    together = max(1, AT_ONCE // max(1, y.size))  # slopes
    for first in range(0, len(shears), together):
        downs = shears[first : first + together]
        row = _clipped(y - downs[:, x], height) + (height + 2) * np.arange(len(downs))[:, None] + 1
        counts = np.bincount(row.ravel(), minlength=len(downs) * (height + 2)).reshape(len(downs), height + 2)
        many = counts[:, :-2] + counts[:, 1:-1] + counts[:, 2:] >= least
        for i in np.flatnonzero(many.any(axis=1)):
            yield downs[i], np.flatnonzero(many[i])


@functools.lru_cache(16)
def _shears(width: int) -> np.ndarray:
    """How far each column is moved up, at each slope: int [slopes, w]."""
    return np.rint(LINE_SLOPES[:, None] * (np.arange(width) - width / 2)).astype(int)


class _Near:
    """Where ink lies within one row, looked up in the picture sheared by any slope."""

    def __init__(self, columns: np.ndarray) -> None:
        """columns: as of `_Ink`, bool [w, h + 1]."""
        width, self.height = columns.shape[0], columns.shape[1] - 1
        inked = columns.any(axis=1)
        self.first = np.where(inked, columns.argmax(axis=1) - 1, self.height)  # row with ink of each column
        self.last = np.where(inked, self.height - columns[:, ::-1].argmax(axis=1) - 1, -1)
        most = int(np.ceil(LINE_SLOPES.max() * width / 2)) + 1
        near = np.zeros((width, self.height + 2 + 2 * most), bool)  # paper where a slope leads out of the picture
        inner = near[:, most:]
        inner[:, : self.height + 1] = columns
        inner[:, 1 : self.height + 2] |= columns
        inner[:, : self.height] |= columns[:, 1:]
        self._near, self._row = near.ravel(), np.arange(width) * near.shape[1] + most + 1

    def cells(self, down: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Whether a pixel lies within one row of each wanted one, where what leaves the picture is in its first or last
        row: int [w], how far each column is moved up, int [k] -> bool [k, w]."""
        found = self._near[wanted[:, None] + (self._row + down)]
        found[wanted <= 1] |= self.first <= down
        found[wanted >= self.height - 2] |= self.last - down >= self.height - 1
        return found


def _kept(down: np.ndarray, rows: np.ndarray, found: np.ndarray, height: int) -> _Lines:
    """Returns the lines `found`, bool [k, w], in `rows`, int [k], of a picture with `height` rows."""
    there = np.zeros(height + 2, bool)  # with a row above and below
    for move in range(3):
        there[rows + move] = True
    kept = np.flatnonzero(there[1:-1])
    place = np.zeros(height, int)
    place[kept] = 1 + np.arange(kept.size) + np.cumsum(np.diff(kept, prepend=kept[0]) > 1)
    cells = np.zeros((place[kept[-1]] + 1, found.shape[1]), bool)
    for move in (-1, 0, 1):
        inside = (rows + move >= 0) & (rows + move < height)
        cells[place[rows[inside] + move]] |= found[inside]
    return _Lines(down, place, cells)


def _clipped(row: np.ndarray, height: int) -> np.ndarray:
    """Rows that leave the picture become its first or last: int [n] -> int [n]."""
    return np.minimum(np.maximum(row, 0), height - 1)


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


def _pale(contrast: np.ndarray, floor: float, full: float) -> np.ndarray | None:
    """The pixels of level lines, without those of darker strokes that cross them: bool [h, w]; None: none."""
    from scipy import ndimage

    height, width = contrast.shape
    ink = _ink(contrast > floor, max(PALE_PX, round(PALE_THICK * max(height, width))))
    gone = np.zeros(ink.columns.size, bool)
    values = None
    for lines in _lines(ink, LONG):
        values = np.ascontiguousarray(contrast.T).ravel() if values is None else values
        groups, count = ndimage.label(lines.cells)
        places, x, group = ink.within(lines, groups)
        value = values[places - 1 - x]
        peak = np.zeros((count + 1) * width, contrast.dtype)
        np.maximum.at(peak, group * width + x, value)
        of_line = _percentiles(peak.reshape(count + 1, width), OF_LINE)
        limit = np.where(of_line < PALE * full, INK * of_line, 0).astype(contrast.dtype)
        gone[places[value < limit[group]]] = True
    if not gone.any():
        return None
    found = ink.as_picture(gone, contrast)
    beside = filters.highest(np.where(found, contrast, np.float32(0)), 1)  # the soft edge is fainter than the line
    found |= filters.highest(found, 1) & (contrast <= beside)
    strokes = (contrast > INK * np.median(contrast[found])) & ~found
    return found & ~filters.highest(strokes, REACH_PX)


def _rows(mask: np.ndarray) -> np.ndarray | None:
    """The pixels of thin lines from the left to the right side of the picture, of any slope in `LINE_SLOPES`.

    A column of ink taller than a line is a stroke that crosses it, and is not counted. Nothing is a line if the rest
    is nearly as wide: then it is the bar of a 4 or 7 in a tight crop. bool [h, w] -> bool [h, w]; None: none.
    """
    from scipy import ndimage

    height, width = mask.shape
    ink = _ink(mask, max(1, round(LINE_THICK_SHARE * min(height, width))))
    of_line = np.zeros(ink.starts.size, bool)  # runs, so the whole thickness of the line
    for lines in _lines(ink):
        places, _, _ = ink.within(lines, lines.cells.astype(int))
        of_line[np.searchsorted(ink.starts, places) - 1] = True
    of_line &= ink.is_thin
    if not of_line.any():
        return None
    found = ink.as_picture(ink.of_runs(of_line), mask)
    if ndimage.label(ndimage.maximum_filter(found, 3).any(axis=1))[1] > 1:
        return found
    columns_of_rest = np.nonzero(mask & ~found)[1]
    left, right = np.percentile(columns_of_rest, (2, 98)) if columns_of_rest.size else (0, width)
    return found if right - left < 0.8 * width else None


def _percentiles(values: np.ndarray, share: float) -> np.ndarray:
    """A percentile of what is above 0 in each row, between the two nearest values: float32 [n, w] >= 0 -> float [n].

    It is `np.percentile` of each row, to the last bit; 0 of a row of zeros.
    """
    ranked = np.sort(values, axis=1)
    count = np.count_nonzero(values, axis=1)
    at = np.maximum(count - 1, 0) * (share / 100)
    before = np.floor(at).astype(int)
    first, rows = values.shape[1] - count, np.arange(len(values))
    low, high = (ranked[rows, np.minimum(first + i, values.shape[1] - 1)] for i in (before, np.ceil(at).astype(int)))
    part, step = at - before, high - low
    lower, upper = (weight.astype(np.float32) for weight in (part, 1 - part))
    return np.where(part < 0.5, low + step * lower, high - step * upper).astype(float)
