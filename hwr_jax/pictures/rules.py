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
INK = 1.5  # times the contrast of the line that it crosses: ink; paler is the line


def without_pale_lines(contrast: np.ndarray, floor: float) -> np.ndarray:
    """Sets printed lines and grids to paper where they are paler than the ink, so that the strokes stay whole.

    Args:
        contrast: float32 [h, w], how much darker than the paper each pixel is.
        floor: what is fainter is texture.

    Returns:
        float32 [h, w]; `contrast` itself if there are no such lines.
    """
    if min(contrast.shape) < MIN_LINED_PX:
        return contrast
    level = _pale(contrast, floor) | _pale(contrast.T, floor).T
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


def _lines(ink: _Ink, shape: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The slopes at which lines lie from the left to the right side of the picture: for each the row int [n] of every
    pixel of ink in a picture sheared by it, and which rows are lines, bool [h]."""
    height, width = shape
    some = (ink.x % EVERY == 0) & ink.is_thin
    some_y, some_x = ink.y[some], ink.x[some] - width / 2
    for slope in LINE_SLOPES:
        few = np.clip(some_y - np.rint(slope * some_x).astype(int), 0, height - 1)
        if np.convolve(np.bincount(few, minlength=height), np.ones(3)).max() < VISIBLE_SHARE * (width // EVERY):
            continue  # cannot be a line; spares the count by columns
        row = np.clip(ink.y - np.rint(slope * (ink.x - width / 2)).astype(int), 0, height - 1)
        is_line = _coverage(row[ink.is_thin], ink.x[ink.is_thin], shape) >= VISIBLE_SHARE
        is_line &= _coverage(row, ink.x, shape) >= LINE_SHARE
        if is_line.any():
            yield row, is_line


def _pale(contrast: np.ndarray, floor: float) -> np.ndarray:
    """The pixels of level lines, without those of darker strokes that cross them: bool [h, w]."""
    from scipy import ndimage

    height, width = contrast.shape
    mask = contrast > floor
    ink = _ink(mask, max(2, round(LINE_THICK_SHARE * min(height, width))))
    value = contrast[ink.y, ink.x]
    gone = np.zeros(len(ink.y), bool)
    for row, is_line in _lines(ink, contrast.shape):
        groups, count = ndimage.label(ndimage.maximum_filter1d(is_line, 3))
        group = groups[row]
        for number in range(1, count + 1):
            here = np.flatnonzero(group == number)
            peak = np.zeros(width, contrast.dtype)
            np.maximum.at(peak, ink.x[here], value[here])
            gone[here] |= value[here] < INK * np.median(peak[peak > 0])
    found = np.zeros(contrast.shape, bool)
    found[ink.y[gone], ink.x[gone]] = True
    beside = ndimage.maximum_filter(np.where(found, contrast, 0), (3, 1))  # the soft edge is fainter than the line
    return found | (ndimage.maximum_filter(found, (3, 1)) & (contrast <= beside))


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
        on_line = ndimage.maximum_filter1d(is_line, 3)[row] & ink.is_thin
        found[ink.y[on_line], ink.x[on_line]] = True
    found = mask & ~ink.tall & np.isin(ink.columns, np.unique(ink.columns[found]))  # whole thickness of the line
    if ndimage.label(ndimage.maximum_filter(found, 3).any(axis=1))[1] > 1:
        return found
    columns_of_rest = np.nonzero(mask & ~found)[1]
    left, right = np.percentile(columns_of_rest, (2, 98)) if columns_of_rest.size else (0, width)
    return found if right - left < 0.8 * width else np.zeros_like(mask)


def _coverage(row: np.ndarray, x: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Share of the columns that hold a pixel within one pixel of each row. int [n], int [n] -> float [h]."""
    cells = np.zeros((shape[0] + 2, shape[1]), bool)
    cells[row + 1, x] = True
    return np.count_nonzero(cells[:-2] | cells[1:-1] | cells[2:], axis=1) / shape[1]
