"""Many small pictures at a time: the bits of `normalise.normalised`, in a tenth of the time.

Of a picture of 28x28 pixels, hardly any of the time goes into its pixels: it goes into a thousand calls of Python. Here
each call does a step of `ink.find_ink` and `normalise.to_mnist` for all pictures of one size. It takes the pictures
whose way through those is the usual one, and only where that is certain: the ink is one digit's, no mark is a page edge
or a frame, and whatever is computed in another order than there is not near a decision. The others are left alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hwr_jax.pictures import ink, marks, normalise, several
from hwr_jax.pictures.rules import MIN_LINED_PX
from hwr_jax.pictures.sheet import MIN_SIDE_PX

TOGETHER = 64  # pictures at a time: their arrays stay in the processor's cache
STRONGLY = 0.01  # beyond `ink.SURE`: the rounding of polarity is a hundredth of it
STRUCTURED = 1e4  # sum of squares from which on that holds; MNIST's digits have 1e6
BETWEEN = 1e-3  # pixels: a centre of mass so near to the middle between two is computed in the usual order
MIDDLE_9 = (  # a network that sorts the middle of nine (Devillard 1998, "Fast median search: an ANSI C implementation")
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6), (1, 4),
    (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip


def normalised_together(greys: Sequence[np.ndarray]) -> list[normalise.Normalised | None]:
    """Turns pictures of one character each into model input, as `normalise.normalised` does.

    Args:
        greys: the grey values [h, w] in 0..255 of each, as `decode.read_grey` returns them.

    Returns:
        A result for each, or None: `normalise.normalised` has to read it.
    """
    found: list[normalise.Normalised | None] = [None] * len(greys)
    for shape in {grey.shape for grey in greys if is_small(grey.shape)}:
        same = [i for i, grey in enumerate(greys) if grey.shape == shape]
        for first in range(0, len(same), TOGETHER):
            batch = same[first : first + TOGETHER]
            for i, result in zip(batch, _together(np.stack([greys[i] for i in batch])), strict=True):
                found[i] = result
    return found


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether pictures [h, w] can be read together: a local window of `ink` fits in, and they are not so large that the
    ordinary path would reduce them, look for a sheet or ruled lines, mend a pen line, or take the soft edge of a stroke
    for more than a pixel."""
    shorter, longer = min(shape), max(shape)
    return (
        ink.LOCAL_PX <= shorter < min(MIN_LINED_PX, MIN_SIDE_PX)
        and longer <= min(ink.POLARITY_PX, ink.PAPER_PX, ink.WORK_PX, ink.FAINT_PX)
        and round(marks.GAP_SHARE * longer) == 0
        and round(marks.SOFT_SHARE * longer) <= 1
    )


def _together(greys: np.ndarray) -> list[normalise.Normalised | None]:
    """The pictures [N, h, w]; None for each that has to be read alone."""
    found: list[normalise.Normalised | None] = [None] * len(greys)
    grey, at = _dark_on_light(greys.astype(np.float32))
    if len(at):
        loose = _is_surely_loose(grey)
        grey, at = grey[loose], at[loose]
    if len(at):
        inks, own, of = _inks(grey)
        at = at[of]
    if not len(at):
        return found
    boxes = _boxes(inks)
    drawings = [one[top:bottom, left:right] for one, top, bottom, left, right in zip(inks, *boxes, strict=True)]
    is_wide = normalise.are_surely_wide(drawings)
    images, is_done = _digits(inks, boxes)
    for i, place in enumerate(at):
        one = ink.Found(inks[i], several.count_characters(own[i]), several.count_lines(own[i]))
        if is_wide[i] and is_done[i]:
            image = images[i]
        else:
            image = normalise.to_mnist(inks[i] if is_wide[i] else normalise.widen_perhaps_thin(inks[i]))
        found[place] = normalise.judged(image, one)
    return found


def _dark_on_light(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those pictures [N, h, w] whose polarity is clear, with dark ink on light paper; and which they are, int [n]."""
    sigma_px = ink.SURROUNDINGS_SHARE * min(grey.shape[1:])
    down, across = (_blur(side, sigma_px) for side in grey.shape[1:])
    difference = (grey - down @ grey @ across.T).reshape(len(grey), -1)
    squares = np.einsum("ij,ij->i", difference, difference)
    excess = np.einsum("ij,ij->i", difference, np.abs(difference)) / np.maximum(squares, 1)
    at = np.flatnonzero((np.abs(excess) > ink.SURE + STRONGLY) & (squares > STRUCTURED))
    grey = grey[at]
    is_light = excess[at] > 0
    grey[is_light] = 255 - grey[is_light]
    return grey, at


@functools.lru_cache(64)
def _blur(side: int, sigma_px: float) -> np.ndarray:
    """What a Gaussian does to a line of pixels: float32 [side, side]."""
    from scipy import ndimage

    return ndimage.gaussian_filter1d(np.eye(side), sigma_px, axis=0, mode="reflect").astype(np.float32)


def _is_surely_loose(grey: np.ndarray) -> np.ndarray:
    """Whether pictures [N, h, w] are surely not `ink.is_tight`: bool [N]; False also where all values are equal."""
    darkest, lightest = grey.min(axis=(1, 2), keepdims=True), grey.max(axis=(1, 2), keepdims=True)
    span = (lightest.astype(float) - darkest).astype(np.float32)
    share = (grey - darkest) / np.maximum(span, np.finfo(np.float32).tiny)
    level = np.minimum(ink.otsu_of_each(share.reshape(len(grey), -1)), 1).astype(np.float32)
    dark = share < level[:, None, None]
    height, width = (max(1, round(ink.TIGHT_RIM * side)) for side in grey.shape[1:])
    rows, columns = dark.any(axis=2), dark.any(axis=1)
    reaches = rows[:, :height].any(axis=1) & rows[:, -height:].any(axis=1)
    reaches |= columns[:, :width].any(axis=1) & columns[:, -width:].any(axis=1)
    return (span.ravel() > 0) & ~(reaches & (dark.mean(axis=(1, 2)) > ink.TIGHT_INK))


def _inks(grey: np.ndarray) -> tuple[np.ndarray, list[list[marks.Mark]], np.ndarray]:
    """The ink of pictures [N, h, w] with dark ink on light paper, as `ink.find_ink` finds it: float32 [n, h, w] in
    0..1; the marks of each; and which of the pictures they are, int [n]."""
    contrast, noise = _contrast(grey)
    flat = contrast.reshape(len(grey), -1)
    floor = np.maximum(ink.MIN_CONTRAST, ink.NOISE_FACTOR * noise)
    most = flat.max(axis=1)
    threshold = np.minimum(np.maximum(floor, ink.otsu_of_each(flat)).astype(np.float32), most)
    clear = np.count_nonzero(flat >= threshold[:, None], axis=1)
    full = ink.full_contrast(np.sort(flat, axis=1), clear).astype(float)
    of = np.flatnonzero(most > floor.astype(np.float32))
    contrast, noise, full, floor = contrast[of], noise[of], full[of], floor[of]

    def above(level: np.ndarray) -> np.ndarray:
        return contrast > level.astype(np.float32)[:, None, None]

    low, span = ((level.astype(np.float32))[:, None, None] for level in (2 * noise, full - 2 * noise))
    darkness = np.clip((contrast - low) / span, 0, 1)
    masks, own = _masks(above(np.maximum(ink.WEAK * full, floor)), above(ink.STRONG * full), darkness)
    inks = np.where(masks & (darkness > 0), darkness, np.float32(0))
    usual = [i for i, some in enumerate(own) if some]
    usual = [i for i in usual if (inks[i] > normalise.MIN_INK).any()]
    return inks[usual], [own[i] or [] for i in usual], of[usual]


def _contrast(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`ink.paper_contrast` of each picture: float32 [N, h, w], float64 [N]."""
    from scipy import ndimage

    size = max(3, round(ink.STROKE_SHARE * min(grey.shape[1:])))
    paper = ndimage.grey_closing(_middle_of_9(grey), size=(1, size, size), mode="nearest")
    smooth = size / ink.SMOOTH
    paper = ndimage.gaussian_filter(paper, (0, smooth, smooth), mode="nearest")
    lack = (1 - grey / np.maximum(paper, 1)).reshape(len(grey), -1)
    level = np.median(lack, axis=1, keepdims=True)
    noise = 1.4826 * np.median(np.abs(lack - level), axis=1).astype(float)
    return np.clip(lack - level, 0, 1).reshape(grey.shape), noise


def _middle_of_9(grey: np.ndarray) -> np.ndarray:
    """The median of each pixel and its eight neighbours, the outline's repeated: float32 [N, h, w] -> the same."""
    height, width = grey.shape[1:]
    around = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    of = [around[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    for a, b in MIDDLE_9:
        of[a], of[b] = np.minimum(of[a], of[b]), np.maximum(of[a], of[b])
    return of[4]


def _masks(
    weak: np.ndarray, strong: np.ndarray, darkness: np.ndarray
) -> tuple[np.ndarray, list[list[marks.Mark] | None]]:
    """`marks.digit_mask` of each picture: bool [N, h, w], and its marks; None where one is a page edge or a frame."""
    from scipy import ndimage

    pictures, height, width = weak.shape
    flat = np.zeros((3, 3, 3), int)
    flat[1] = marks.EIGHT
    labels, count = ndimage.label(weak, flat)
    kept = np.zeros(count + 1, bool)
    own: list[list[marks.Mark] | None] = [[] for _ in range(pictures)]
    for picture, mark in _measured(labels, count, darkness, strong):
        some = own[picture]
        if some is not None:
            some.append(mark)
            if marks.is_page_edge(mark):
                own[picture] = None
    for picture, some in enumerate(own):
        if some and len(some) > 1 and any(marks.is_frame(mark, some, max(height, width)) for mark in some):
            own[picture] = None
        elif some:
            kept[[mark.label for mark in marks.chosen(some, (height, width))]] = True
    around = np.zeros((pictures, height + 2, width + 2), bool)
    around[:, 1:-1, 1:-1] = kept[labels]
    rows = around[:, :-2] | around[:, 1:-1] | around[:, 2:]
    return rows[:, :, :-2] | rows[:, :, 1:-1] | rows[:, :, 2:], own


def _measured(labels: np.ndarray, count: int, darkness: np.ndarray, strong: np.ndarray) -> list[tuple[int, marks.Mark]]:
    """`marks.measured` of each picture: the picture and the mark, by label. labels: int [N, h, w], 1 to count."""
    from scipy import ndimage

    _, height, width = labels.shape
    strip = max(1, round(marks.EDGE_SHARE * min(height, width)))
    at_edge = np.ones((height, width), bool)
    at_edge[strip:-strip, strip:-strip] = False
    is_ink = labels > 0
    of_ink = labels[is_ink]
    mass = np.bincount(of_ink, darkness[is_ink], count + 1)
    area = np.bincount(of_ink, minlength=count + 1)
    edge = np.bincount(labels[is_ink & at_edge], minlength=count + 1) / np.maximum(area, 1)
    outline = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    cover = np.max([np.bincount(side.ravel(), minlength=count + 1) / side.shape[1] for side in outline], axis=0)
    sure = np.bincount(labels[strong], minlength=count + 1)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if sure[label]:
            (picture, _), (top, bottom), (left, right) = ((part.start, part.stop) for part in box)
            sides = (top == 0) + (left == 0) + (bottom == height) + (right == width)
            mark = marks.Mark(label, mass[label], top, left, bottom, right, sides, edge[label], cover[label])
            found.append((picture, mark))
    return found


class _Boxes(NamedTuple):
    """The boxes of ink in pictures [N, h, w]: int [N] each, the ends exclusive."""

    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray


def _boxes(inks: np.ndarray) -> _Boxes:
    is_ink = inks > normalise.MIN_INK
    ends = []
    for axis in (2, 1):
        lines = np.any(is_ink, axis=axis)
        ends += [lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)]
    return _Boxes(*ends)


def _digits(inks: np.ndarray, boxes: _Boxes) -> tuple[np.ndarray, np.ndarray]:
    """`normalise.to_mnist` of ink whose box needs no other size: uint8 [N, 28, 28], bool [N], whether it surely is."""
    size, box = normalise.SIZE_PX, normalise.BOX_PX
    _, height, width = inks.shape
    tall, wide = boxes.bottom - boxes.top, boxes.right - boxes.left
    y, x = np.arange(height), np.arange(width)
    inside = (y >= boxes.top[:, None]) & (y < boxes.bottom[:, None])
    inside = inside[:, :, None] & ((x >= boxes.left[:, None]) & (x < boxes.right[:, None]))[:, None, :]
    digits = np.where(inside, inks, np.float32(0))
    mass = digits.astype(float)
    is_done = np.maximum(tall, wide) == box
    starts = []
    for where, begin, length, axis in ((y, boxes.top, tall, 2), (x, boxes.left, wide, 1)):
        of_line = mass.sum(axis=axis)
        offset = size // 2 - (of_line @ where / of_line.sum(axis=1) - begin)
        is_done &= np.abs(offset - np.floor(offset) - 0.5) > BETWEEN
        starts.append(np.clip(np.rint(offset), 0, size - length).astype(int) - begin)
    values = np.rint(digits / digits.max(axis=(1, 2), keepdims=True) * np.float32(255)).astype(np.uint8)
    images = np.zeros((len(inks), size, size), np.uint8)
    down, across = starts
    picture, row, column = np.nonzero(values * is_done[:, None, None])
    images[picture, row + down[picture], column + across[picture]] = values[picture, row, column]
    return images, is_done
