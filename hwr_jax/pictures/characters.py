"""From the marks on a page to its characters and its lines of writing, before anything is read.

`page.py` finds the marks. A character may be several of them (the bar of a 5, a broken stroke); several characters that
touch are one of these here until a reader takes them apart at one of `cuts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hwr_jax.pictures import marks, normalise
from hwr_jax.pictures.ink import FAINT
from hwr_jax.pictures.marks import Mark
from hwr_jax.pictures.page import PageInk

AT_ONCE = 32  # characters whose strokes are measured at a time
FINE = 4  # of the grid on which thin strokes are widened: a page has a hundred characters
ALIKE = 0.7  # ratio of the heights of characters of one hand
SEVERAL = 3
MOST, SPECK = 0.85, 0.1  # of all ink, and of its height: a mark with more ink stands alone among specks, all lower
MARKS = 2000  # at most, the heaviest: more are texture
SMALLEST_PX = 160  # in smaller pictures the writing may touch the outline
AT_OUTLINE = 2.2  # a mark at the outline longer than this many characters is a table, an edge or a shadow
MANY = 12  # characters away from the outline: what touches it is no more of them, but the edge of something else
STRIP = 0.3  # and one in the strip along it, thinner than this share of a character, too
TALLEST, WIDEST = 4.0, 6.0  # heights of a character: larger marks are drawings, frames, blots
WHOLE = 0.45  # of a character's height: a smaller mark is a part, a point or a dash
NEAR = 0.18  # of it: a part closer than this to a character belongs to it
PART = 0.02  # of the character's ink: a part with less is a speck
ABOVE, BETWEEN, TOGETHER = 0.5, 0.15, 1.5  # marks whose widths overlap by this share, no further apart than this, and
# together no taller than this (the last two in heights of a character) are one character in two pieces
FAINTEST = 0.12  # of the median ink of a character: less is a speck, unless it is as tall as a 1
TALL = 0.7  # of a character's height
PALEST = 0.4  # of the median contrast of the characters: less is texture, or the writing on the other side
ON_LINE = 0.7  # of its height: a character's middle is at most this far from that of those before it in the line
SLANTS = (-0.4, -0.2, 0.0, 0.2, 0.4)  # columns per row of a cut
CUTS, PAIR, MOST_CUTS = 6, 1.6, 12  # in a mark as wide as two characters, which is this in its heights; in any mark
MARGIN = 0.12  # of the height: no cut lies closer than this to another, or to the end
LEANING = 0.1  # of the height: how much more ink a cut may cross to stand upright, per unit of slant


class Character(NamedTuple):
    """The marks of one character, in pixels of the page."""

    top: int
    left: int
    bottom: int  # exclusive
    right: int  # exclusive
    labels: tuple[int, ...]  # of its marks
    mass: float  # sum of their darkness

    @property
    def height(self) -> int:
        """Of its box."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Of its box."""
        return self.right - self.left


class Cut(NamedTuple):
    """A straight way through a mark that crosses little ink."""

    column: float  # where it crosses the middle row
    slant: float  # columns per row
    crossed: float  # ink pixels on it


class Drawn(NamedTuple):
    """A character as it is drawn on the page."""

    character: Character  # its box
    mask: np.ndarray  # bool [height, width], its ink in the box
    without: np.ndarray | None = None  # bool [height, width], the ink of its neighbours, which its soft edge leaves out


class Found(NamedTuple):
    """The characters of a page, and how many marks as large as a character were left out, and why."""

    characters: list[Character]
    dropped: dict[str, int]  # reason -> number, without zeros


def characters(page: PageInk) -> Found:
    """Joins the marks of a page to characters, and drops edges, frames, specks and points."""
    heaviest = sorted(page.marks, key=lambda m: -m.mass)
    considered, rest = heaviest[:MARKS], heaviest[MARKS:]
    inner = _without_edges(considered, page.grey.shape)
    if not inner:
        return Found([], {})
    typical = _typical_height(inner)
    fitting = [m for m in inner if m.bottom - m.top < TALLEST * typical and m.right - m.left < WIDEST * typical]
    joined = _join(fitting, typical)
    least = FAINTEST * float(np.median([c.mass for c in joined])) if joined else 0.0
    joined = [c for c in joined if c.mass > least or c.height > TALL * typical]
    contrasts = [_contrast(page, c) for c in joined]
    palest = PALEST * float(np.median(contrasts)) if contrasts else 0.0
    kept = [c for c, contrast in zip(joined, contrasts, strict=True) if contrast > palest]
    counts = {  # each step keeps some of the marks of the step before: what is missing was dropped there
        "at the outline": _large(considered, typical) - _large(inner, typical),
        "too large": _large(inner, typical) - _large(fitting, typical),
        "too pale": _large(joined, typical) - _large(kept, typical),
        f"beyond {MARKS} marks": _large(rest, typical),
    }
    return Found(kept, {why: count for why, count in counts.items() if count})


def _large(marks: Sequence[Mark | Character], typical: float) -> int:
    """How many are as high as a character."""
    return sum(m.bottom - m.top >= WHOLE * typical for m in marks)


def _join(found: list[Mark], typical: float) -> list[Character]:
    """The marks that are whole characters, with the parts that lie close to them."""
    whole = [_alone(m) for m in found if m.bottom - m.top >= WHOLE * typical]
    if not whole:
        return []
    parts = [_alone(m) for m in found if m.bottom - m.top < WHOLE * typical]
    boxes = np.array([c[:4] for c in whole])
    for part in parts:
        apart = _apart(np.array(part[:4]), boxes)
        near = int(apart.argmin())
        if apart[near] < NEAR * typical and part.mass > PART * whole[near].mass:
            whole[near] = _joined(whole[near], part)
            boxes[near] = whole[near][:4]
    return _stacked(whole, typical)


def lines(found: list[Character]) -> list[list[Character]]:
    """Groups characters into lines from top to bottom, each from left to right."""
    if not found:
        return []
    height = float(np.median([c.height for c in found]))
    rows: list[list[Character]] = []
    middles = np.zeros(0)  # of each row: the mean of its last three characters' middles
    for character in sorted(found, key=lambda c: c.left):
        apart = np.abs(middles - (character.top + character.bottom) / 2)
        if not apart.size or apart.min() >= ON_LINE * height:
            rows.append([])
            middles = np.append(middles, 0.0)
        at = int(apart.argmin()) if len(rows) == apart.size else apart.size
        rows[at].append(character)
        middles[at] = np.mean([(c.top + c.bottom) / 2 for c in rows[at][-3:]])
    return sorted(rows, key=lambda row: np.mean([c.top for c in row]))


def mask_of(page: PageInk, character: Character) -> np.ndarray:
    """Where the character's marks are in its box, bool [height, width]."""
    part = page.labels[character.top : character.bottom, character.left : character.right]
    return part == character.labels[0] if len(character.labels) == 1 else np.isin(part, character.labels)


def images_of(page: PageInk, drawn: Sequence[Drawn]) -> list[np.ndarray]:
    """The images of characters as the models know them: uint8 [28, 28] each, 0 = paper, 255 = ink.

    Args:
        page: see `page.find_marks`.
        drawn: the characters.
    """
    images: list[np.ndarray] = []
    for first in range(0, len(drawn), AT_ONCE):
        inks = [_ink_of(page, one) for one in drawn[first : first + AT_ONCE]]
        are_wide = normalise.are_surely_wide(inks, fine=FINE)
        pens = zip(inks, are_wide, strict=True)
        images += list(
            normalise.to_mnist_each([i if wide else normalise.widen_perhaps_thin(i, fine=FINE) for i, wide in pens])
        )
    return images


def _ink_of(page: PageInk, drawn: Drawn) -> np.ndarray:
    """The ink of a character without a margin: float32 [h, w] in 0..1."""
    box = drawn.character
    dark = page.darkness[box.top : box.bottom, box.left : box.right]
    soft = _wider(drawn.mask)
    if drawn.without is not None:
        soft &= ~drawn.without
    return normalise.crop(np.where(soft & (dark > FAINT), dark, 0).astype(np.float32))


def _wider(mask: np.ndarray) -> np.ndarray:
    """Ink with a rim of one pixel, within its box: bool [h, w] -> bool [h, w]."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    wide = rows.copy()
    wide[:, 1:] |= rows[:, :-1]
    wide[:, :-1] |= rows[:, 1:]
    return wide


def cuts(mask: np.ndarray) -> list[Cut]:
    """Where the characters of a mark, bool [h, w], may touch, from left to right: half of the ways are those that cross
    the least ink (a thin joining stroke), the others those along which the ink reaches the least far (two loops)."""
    height, width = mask.shape
    apart = max(1, round(MARGIN * height))
    half = min(max(CUTS // 2, round(CUTS / 2 * width / (PAIR * height))), MOST_CUTS // 2)
    x = np.arange(apart, width - apart)
    if not x.size:
        return []
    all_crossed, all_reach = [], []
    rows = np.arange(height)[:, None]
    for slant in SLANTS:
        shift = np.rint(slant * (np.arange(height) - height / 2)).astype(int)[:, None]
        columns = x[None, :] + shift
        inside = (columns >= 0) & (columns < width)
        ink = mask[rows, np.clip(columns, 0, width - 1)] & inside
        all_reach.append(np.where(ink.any(0), height - ink.argmax(0) - ink[::-1].argmax(0), 0))
        all_crossed.append(ink.sum(0))
    crossed, reach = np.concatenate(all_crossed), np.concatenate(all_reach)
    column, slant = np.tile(x, len(SLANTS)), np.repeat(SLANTS, x.size)
    leaning = LEANING * height * np.abs(slant)
    free = np.ones(column.size, bool)
    chosen: list[Cut] = []
    for price, most in ((crossed + leaning, half), (reach + leaning, 2 * half)):
        order = np.argsort(price, kind="stable")
        while len(chosen) < most and free.any():
            best = order[free[order].argmax()]
            chosen.append(Cut(int(column[best]), float(slant[best]), float(crossed[best])))
            free &= np.abs(column - column[best]) > apart
    return sorted(chosen)


def right_of(cut: Cut, shape: tuple[int, int]) -> np.ndarray:
    """The side of a cut, bool [h, w]."""
    way = cut.column + np.rint(cut.slant * (np.arange(shape[0]) - shape[0] / 2))
    return np.arange(shape[1])[None, :] >= way[:, None]


def _alone(mark: Mark) -> Character:
    return Character(mark.top, mark.left, mark.bottom, mark.right, (mark.label,), mark.mass)


def _joined(one: Character, other: Character) -> Character:
    return Character(
        min(one.top, other.top),
        min(one.left, other.left),
        max(one.bottom, other.bottom),
        max(one.right, other.right),
        one.labels + other.labels,
        one.mass + other.mass,
    )


def _apart(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The distance of a box from others along the axis on which it is larger: int [4], int [n, 4] -> int [n]."""
    return np.maximum(np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]), 0).max(1)


def _contrast(page: PageInk, character: Character) -> float:
    """The contrast of the darker half of its ink with the paper."""
    inside = slice(character.top, character.bottom), slice(character.left, character.right)
    values = np.sort(page.contrast[inside][mask_of(page, character)])
    return _median(values[np.searchsorted(values, _median(values)) :])


def _median(ranked: np.ndarray) -> float:
    """The median of sorted values: float32 [n] -> float."""
    middle = ranked.size // 2
    return float(ranked[middle] if ranked.size % 2 else (ranked[middle - 1] + ranked[middle]) / 2)


def _typical_height(found: list[Mark]) -> float:
    """The height of a character: the one that most marks have about, times its square, for specks outnumber digits.
    What only one or two marks have is the height of a blot or a drawing, if there are others, but for a mark that holds
    nearly all of the ink."""
    masses = np.array([m.mass for m in found])
    heights = np.array([m.bottom - m.top for m in found], float)
    largest = int(masses.argmax())
    if masses[largest] > MOST * masses.sum() and (heights < SPECK * heights[largest]).sum() == len(found) - 1:
        return float(heights[largest])
    ratios = heights[:, None] / heights[None, :]
    alike = (ratios > ALIKE) & (ratios < 1 / ALIKE)
    counts = alike.sum(0)
    best = np.argmax(np.where(counts >= min(SEVERAL, counts.max()), counts * heights**2, 0))
    return float(np.median(heights[alike[:, best]]))


def _without_edges(found: list[Mark], shape: tuple[int, int]) -> list[Mark]:
    """Drops what lies at the picture's outline and is no character."""
    if max(shape) <= SMALLEST_PX:
        return found
    inner = [m.bottom - m.top for m in found if not m.sides and m.length > 0.02 * max(shape)]
    if len(inner) <= 3:  # too few to compare with
        return [m for m in found if not marks.is_page_edge(m)]
    if len(inner) >= MANY:
        return [m for m in found if not m.sides]
    typical = float(np.median(inner))

    def is_edge(m: Mark) -> bool:
        thin = min(m.bottom - m.top, m.right - m.left) < STRIP * typical
        return m.sides > 0 and (m.length > AT_OUTLINE * typical or (m.edge > marks.HUG_SHARE and thin))

    return [m for m in found if not is_edge(m)]


def _stacked(found: list[Character], typical: float) -> list[Character]:
    """Joins pieces of a character that lie above each other."""
    joined = sorted(found, key=lambda c: -c.mass)
    boxes = np.array([c[:4] for c in joined])
    gone = np.zeros(len(joined), bool)
    for i in range(len(joined)):
        while not gone[i]:
            top, left, bottom, right = boxes[i]
            overlap = np.minimum(boxes[:, 3], right) - np.maximum(boxes[:, 1], left)
            gap = np.maximum(boxes[:, 0], top) - np.minimum(boxes[:, 2], bottom)
            both = np.maximum(boxes[:, 2], bottom) - np.minimum(boxes[:, 0], top)
            near = ~gone & (overlap > ABOVE * np.minimum(boxes[:, 3] - boxes[:, 1], right - left))
            near &= (gap < BETWEEN * typical) & (both < TOGETHER * typical)
            near[: i + 1] = False
            if not near.any():
                break
            other = int(near.argmax())
            joined[i] = _joined(joined[i], joined[other])
            boxes[i], gone[other] = joined[i][:4], True
    return [c for c, is_gone in zip(joined, gone, strict=True) if not is_gone]
