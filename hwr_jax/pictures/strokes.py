"""How wide the strokes of a drawing are, and the same drawing with a wider pen. Owns the arithmetic, not the limits.

Masks of the fine grid are looked at as bits, 64 pixels of a row in a word: the measures are counts, so nothing is lost.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

WORD = 64  # pixels of a row in a word
MOST_SMALL = 255  # rows: the squares of half of them, and of as many columns, are an int16 together
MOST_RIMS = 200  # that are taken: deeper ink is wider than any pen
PART = 8  # drawings on the fine grid at a time
ROUNDING = 1e-5  # of ink in 0..1, after resampling to the fine grid by another order of sums: ten times what was seen


def width_of(mask: np.ndarray) -> float:
    """Mean width in pixels of the strokes in bool [h, w]: four times the mean distance to paper (exact for a long
    straight stroke)."""
    return 4 * float(np.sqrt(_squared_distances(mask)[mask], dtype=float).mean())


def is_at_least(mask: np.ndarray, width_px: float) -> bool:
    """Whether `width_of` a mask is surely so wide: many times as quick as the width. bool [h, w] -> bool."""
    return bool(are_at_least(packed(mask[None]), width_px, np.count_nonzero(mask[None], axis=(1, 2)))[0])


def packed(masks: np.ndarray) -> np.ndarray:
    """Masks as bits: bool [N, h, w] -> uint64 [N, h + 2, words], with a row of paper above and below."""
    count, height, width = masks.shape
    words = -(-width // WORD)
    bits = np.zeros((count, height + 2, words * 8), np.uint8)
    bits[:, 1:-1, : -(-width // 8)] = np.packbits(masks, axis=2, bitorder="little")
    return bits.view("<u8")


def are_at_least(bits: np.ndarray, width_px: float, areas: np.ndarray) -> np.ndarray:
    """Whether the mean width of strokes is surely at least so large.

    A pixel is as far from paper, at least, as the number of times that a rim can be taken from the ink before it goes,
    if each rim is one that a disc grown by one pixel needs (see `_rims`). Those numbers are summed.

    Args:
        bits: of each mask, as `packed` makes them; they are overwritten.
        width_px: pixels.
        areas: int [N], pixels of each mask, or more: then the answer holds for every mask between it and `bits`.

    Returns:
        bool [N]; where it is False, only `width_of` says more.
    """
    needed = width_px / 4 * areas
    total = np.zeros(len(bits), np.int64)
    found = areas == 0
    for is_square in _rims():
        left = np.bitwise_count(bits).sum(axis=(1, 2), dtype=np.int64)
        total += left
        found |= total >= needed
        if (found | (left == 0)).all():
            break
        inner = bits[:, :-2] & bits[:, 1:-1]
        inner &= bits[:, 2:]
        if is_square:
            bits[:, 1:-1] = _beside(inner)
        else:
            bits[:, 1:-1] = inner & _beside(bits[:, 1:-1])
    return found & (areas > 0)


def are_surely_wide(drawings: Sequence[np.ndarray], fine_px: int, width_px: float) -> np.ndarray:
    """Whether strokes are surely so wide, of many drawings enlarged to a fine grid.

    The grid is made by products of matrices. That rounds otherwise than Pillow, so what is surely ink is measured, and
    what may be ink is the area.

    Args:
        drawings: ink in 0..1 without a margin, float32 [h, w] each.
        fine_px: the longer side on the fine grid.
        width_px: the least mean width there.

    Returns:
        bool [N]; False also of a drawing that is not smaller than the fine grid.
    """
    found = np.zeros(len(drawings), bool)
    tall, wide = np.array([one.shape for one in drawings]).reshape(-1, 2).T
    longer = np.maximum(tall, wide)
    scales = fine_px / np.maximum(longer, 1)
    tall_to, wide_to = (np.maximum(1, np.rint(side * scales)).astype(int) for side in (tall, wide))
    order = np.argsort(wide_to, kind="stable")  # those of one width together: less of what is computed is paper
    order = order[longer[order] < fine_px]
    for first in range(0, len(order), PART):
        some = order[first : first + PART]
        most_tall, most_wide = int(tall[some].max()), int(wide[some].max())
        ink = np.zeros((len(some), most_tall, most_wide), np.float32)
        rows = np.zeros((len(some), int(tall_to[some].max()), most_tall), np.float32)
        columns = np.zeros((len(some), most_wide, int(wide_to[some].max())), np.float32)
        for k, i in enumerate(some.tolist()):
            h, w = drawings[i].shape
            ink[k, :h, :w] = drawings[i]
            rows[k, : tall_to[i], :h] = _enlarging(h, int(tall_to[i]))
            columns[k, :w, : wide_to[i]] = _enlarging(w, int(wide_to[i])).T
        large = rows @ (ink @ columns)
        half = np.minimum(large.max(axis=(1, 2), keepdims=True), 1) / 2
        areas = np.count_nonzero(large > half - ROUNDING, axis=(1, 2))
        found[some] = are_at_least(packed(large > half + ROUNDING), width_px, areas)
    return found


@functools.lru_cache(1024)
def _enlarging(side: int, to: int) -> np.ndarray:
    """What enlarging does to a line of pixels: float32 [to, side]."""
    from PIL import Image

    eye = Image.fromarray(np.eye(side, dtype=np.float32))
    return np.asarray(eye.resize((side, to), Image.Resampling.BICUBIC))


def _beside(bits: np.ndarray) -> np.ndarray:
    """The pixels with ink at both sides. uint64 [N, h, words] -> the same."""
    right, left = bits << np.uint64(1), bits >> np.uint64(1)
    right[..., 1:] |= bits[..., :-1] >> np.uint64(WORD - 1)
    left[..., :-1] |= bits[..., 1:] << np.uint64(WORD - 1)
    right &= left
    right &= bits
    return right


@functools.cache
def _rims() -> tuple[bool, ...]:
    """Whether each rim is a square's (8 neighbours) or a diamond's (4). After k of them, what stays has ink within a
    polygon that holds every pixel nearer than k + 1, so it is at least k + 1 away from paper.

    The first k rims make the polygon |x|, |y| <= k, |x| + |y| <= k + squares.
    """
    rims: list[bool] = []
    for k in range(1, MOST_RIMS + 1):
        x = np.arange(k + 1)
        y = np.minimum(np.floor(np.sqrt((k + 1) ** 2 - x**2 - 1e-9)), k)
        rims.append(k + sum(rims) < (x + y).max())
    return tuple(rims)


def _squared_distances(mask: np.ndarray) -> np.ndarray:
    """The squared distance of each pixel of ink to the nearest of paper, which surrounds the mask: bool [h, w] ->
    integers [h, w], 0 on paper. As `scipy.ndimage.distance_transform_edt`, and quicker where strokes are narrow."""
    padded = np.pad(mask, 1)
    height, width = padded.shape
    kind = np.int16 if height <= MOST_SMALL else np.int32
    rows = np.arange(height, dtype=kind)[:, None]
    nearest = rows - np.maximum.accumulate(rows * ~padded, axis=0)
    below = np.minimum.accumulate(np.where(padded, kind(height - 1), rows)[::-1], axis=0)[::-1]
    np.minimum(nearest, below - rows, out=nearest)
    nearest *= nearest
    found = nearest.copy()
    for away in range(1, width):
        farther = nearest + kind(away * away)
        np.minimum(found[:, away:], farther[:, :-away], out=found[:, away:])
        np.minimum(found[:, :-away], farther[:, away:], out=found[:, :-away])
        if (away + 1) ** 2 >= found.max():
            break
    return found[1:-1, 1:-1]


def widened(values: np.ndarray, radius: float) -> np.ndarray:
    """The largest value within a disc around each pixel, which stays inside. float32 [h, w] -> float32 [h, w].

    It is `scipy.ndimage.grey_dilation` with the pixels y^2 + x^2 <= radius^2, for values >= 0 with zeros around them.
    """
    reach = int(np.ceil(radius))
    height, width = values.shape
    around = np.pad(values, reach)
    found = values.copy()
    rows = {}  # half the width of the disc's rows -> the largest value in such a row
    wide = around[:, reach : reach + width].copy()
    for half in range(reach + 1):
        if half:
            np.maximum(wide, around[:, reach - half : reach - half + width], out=wide)
            np.maximum(wide, around[:, reach + half : reach + half + width], out=wide)
        rows[half] = wide.copy()
    for down in range(-reach, reach + 1):
        if (left := radius**2 - down**2) >= 0:
            np.maximum(found, rows[int(np.floor(np.sqrt(left)))][reach + down : reach + down + height], out=found)
    return found
