"""Reads a page of digits: `pictures` finds the characters, and the model decides where those that touch are parted.

Source of the search for the best cuts: over-segmentation and dynamic programming, as in LeCun et al. 1998,
"Gradient-based learning applied to document recognition", V.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.data.negatives import NONE
from hwr_jax.inference.reader import Reader
from hwr_jax.pictures import characters, decode, page
from hwr_jax.pictures.characters import Character, Cut
from hwr_jax.pictures.decode import PictureFile

ALTERNATIVES = 3
WIDE = 0.95  # a mark wider than this, in its heights, may be several characters ...
SURELY_ONE, TOO_WIDE = 0.98, 1.3  # ... unless it is read as one with more than this, and is no wider than that
UNSURE = 0.9  # a mark that is read with less than this may be several characters, if it is not narrow
NARROW = 0.5  # typical heights: a mark less wide is one character
EACH = 0.05  # nats that each character costs: two where one is read as well are worse
CROSSED = 1.5  # nats for ink that a cut crosses, per height of the mark
BROAD = 3.0  # nats for each typical height by which a character is wider than one
SHORTEST, LONGEST = 0.4, 1.6  # of the mark's height: the height, and the width, of a part that can be a character
LETTERS = 0.5  # a line of which more than this share is like no digit is one of letters, some of which are like a 1
SLENDER, SPLIT = 0.8, 1.0  # a mark less wide than this, in typical heights, costs this many nats to take apart
OTHER_SIZE = (
    2.3  # a line whose characters are by this factor larger or smaller than those of the page is print, or a stamp
)
NO_DIGIT = 0.5  # a line whose characters are read with less than this, on average, is no line of digits


class Digit(NamedTuple):
    """A character on a page."""

    label: str
    confidence: float  # 0..1
    alternatives: list[tuple[str, float]]
    box: tuple[int, int, int, int]  # x, y, width, height in pixels of the picture
    line: int  # index of its line


class Line(NamedTuple):
    """A line of writing."""

    text: str
    confidence: float  # 0..1, that all of it is right, if the mistakes are independent
    box: tuple[int, int, int, int]  # x, y, width, height in pixels of the picture


class Page(NamedTuple):
    """What a picture says, in reading order."""

    picture: str  # its path, or what it is: "the given bytes", "standard input"
    lines: list[Line]
    digits: list[Digit]
    skipped: dict[str, int]  # marks as large as digits that were not read: reason -> number
    notes: list[str]  # a sentence for each choice that was made
    ms: float  # milliseconds

    @property
    def text(self) -> str:
        """The lines, one below the other."""
        return "\n".join(line.text for line in self.lines)

    def rejecting(self, below: float) -> Page:
        """The same, with ? for each digit that is read with less than this confidence. The confidences stay."""
        digits = [d._replace(label="?") if d.confidence < below else d for d in self.digits]
        texts = ["".join(d.label for d in digits if d.line == i) for i in range(len(self.lines))]
        lines = [line._replace(text=text) for line, text in zip(self.lines, texts, strict=True)]
        return self._replace(lines=lines, digits=digits)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        digits = [
            d._asdict() | {"alternatives": [{"label": k, "confidence": p} for k, p in d.alternatives]}
            for d in self.digits
        ]
        lines = [line._asdict() for line in self.lines]
        own = {"image": self.picture, "text": self.text, "lines": lines, "digits": digits}
        return own | {"skipped": self.skipped, "notes": self.notes, "ms": round(self.ms, 1)}


class _Read(NamedTuple):
    """A character and the model's probabilities."""

    character: Character
    prob: np.ndarray  # float [K]; of the class `none`, if the model has it, below 0

    @property
    def is_none(self) -> bool:
        """Whether the model takes it for no digit."""
        return 1 - float(self.prob[self.prob >= 0].sum()) > float(self.prob.max())


def scan(model: Reader, picture: PictureFile | np.ndarray) -> Page:
    """Reads all digits in a picture of any size. A blank one has no lines.

    Args:
      model: of single characters.
      picture: path, bytes or binary file object; or grey values [h, w] in 0..255, 0 = black, 255 = white.

    Raises:
      ConfigError: a model that reads strings.
      DataError: not an accepted picture.
      OSError: the path cannot be read.
    """
    if model.reads_strings:
        raise ConfigError("this model reads lines, and a page is read character by character: use a model of digits")
    start = time.perf_counter()
    name = "the given array" if isinstance(picture, np.ndarray) else decode.name_of(picture)
    grey = decode.as_grey(picture) if isinstance(picture, np.ndarray) else decode.read_grey(picture)
    try:
        ink = page.find_marks(grey)
    except DataError:  # a blank page
        return Page(name, [], [], {}, [], 1000 * (time.perf_counter() - start))
    found = characters.characters(ink)
    read = _parted(model, ink, _read(model, ink, found.characters))
    rows, left_out = _rows_of_digits(read)
    lines, digits = [], []
    for row in rows:
        own = [_digit(model, ink, one, len(lines)) for one in row]
        box = _around([d.box for d in own])
        lines.append(Line("".join(d.label for d in own), round(float(np.prod([d.confidence for d in own])), 6), box))
        digits += own
    skipped = found.dropped | {why: count for why, count in left_out.items() if count}
    return Page(name, lines, digits, skipped, _notes(ink), 1000 * (time.perf_counter() - start))


def _rows_of_digits(read: list[_Read]) -> tuple[list[list[_Read]], dict[str, int]]:
    """The lines of writing that are of digits, and how many characters were left out, and why."""
    of = {one.character: one for one in read}
    rows, no_digits = [], 0
    for characters_of_row in characters.lines(list(of)):
        whole = [of[c] for c in characters_of_row]
        row = [one for one in whole if not one.is_none]
        sure = [float(one.prob.max()) for one in row]
        is_text = len(row) < (1 - LETTERS) * len(whole)
        if not row or is_text or (np.mean(sure) < NO_DIGIT and max(sure) < UNSURE):
            no_digits += len(whole)
        else:
            no_digits += len(whole) - len(row)
            rows.append(row)
    heights = [float(np.median([one.character.height for one in row])) for row in rows]
    typical = float(np.median([one.character.height for row in rows for one in row])) if rows else 0.0
    alike = [typical / OTHER_SIZE < height < typical * OTHER_SIZE for height in heights]
    other = sum(len(row) for row, fits in zip(rows, alike, strict=True) if not fits)
    kept = [row for row, fits in zip(rows, alike, strict=True) if fits]
    return kept, {"like no digit": no_digits, "in lines of another size": other}


def in_words(skipped: Mapping[str, int]) -> str:
    """Returns "2 too pale, 1 at the outline" of `Page.skipped`, or of a sum of such; "" of nothing."""
    return ", ".join(f"{count} {why}" for why, count in skipped.items())


def _notes(ink: page.PageInk) -> list[str]:
    if ink.box is None:
        return []
    top, left, bottom, right = ink.box
    return [f"only the sheet at x={left}, y={top} was read, {right - left}x{bottom - top} pixels of the picture"]


def _read(model: Reader, ink: page.PageInk, found: list[Character]) -> list[_Read]:
    images = [characters.image_of(ink, c, characters.mask_of(ink, c)) for c in found]
    return [_Read(c, p) for c, p in zip(found, _predict(model, images), strict=True)]


def _predict(model: Reader, images: list[np.ndarray]) -> np.ndarray:
    """The probabilities of images [28, 28]: float [N, K], with -1 for the class `none`."""
    if not images:
        return np.zeros((0, len(model.classes)))
    prob = np.array(model.predict(np.stack(images)))
    prob[:, [k for k, name in enumerate(model.classes) if name == NONE]] = -1
    return prob


class _Parts(NamedTuple):
    """A mark that may be several characters, its cuts, and each part between two of them (or an end) that may be one.

    Part (i, j) begins at cut i - 1 and ends at cut j - 1; 0 and len(cuts) + 1 are the ends of the mark.
    """

    whole: _Read
    cuts: list[Cut]
    parts: dict[tuple[int, int], tuple[Character, np.ndarray]]  # its box, and its image


def _parted(model: Reader, ink: page.PageInk, read: list[_Read]) -> list[_Read]:
    """Takes apart the marks that are read better as several characters."""
    if not read:
        return []
    typical = float(np.median([one.character.height for one in read]))
    chosen, doubtful = [], []
    for one in read:
        (doubtful if _may_be_several(one, typical) else chosen).append(one)
    all_parts = [_parts_of(ink, one) for one in doubtful]
    images = [image for parts in all_parts for _, image in parts.parts.values()]
    if not images:
        return read
    prob = iter(_predict(model, images))
    for parts in all_parts:
        chosen += _best(parts, {key: next(prob) for key in parts.parts}, typical)
    return chosen


def _may_be_several(one: _Read, typical: float) -> bool:
    character, sure = one.character, float(one.prob.max())
    wide = character.width > (TOO_WIDE if sure > SURELY_ONE else WIDE) * character.height
    return wide or (sure < UNSURE and character.width > NARROW * typical)


def _parts_of(ink: page.PageInk, one: _Read) -> _Parts:
    whole, mask = one.character, characters.mask_of(ink, one.character)
    ways = characters.cuts(mask)
    right = [characters.right_of(cut, mask.shape) for cut in ways]
    found = {}
    for i in range(len(ways) + 1):
        for j in range(i + 1, len(ways) + 2):
            if (i, j) == (0, len(ways) + 1):
                continue
            part = mask.copy()
            if i > 0:
                part &= right[i - 1]
            if j <= len(ways):
                part &= ~right[j - 1]
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            if not rows.size or rows[-1] - rows[0] < SHORTEST * whole.height:
                continue
            if i > 0 and j <= len(ways) and (mask & right[j - 1] & ~right[i - 1]).any():
                continue  # the two cuts cross on ink
            top, bottom, left, right_ = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
            if right_ - left > LONGEST * whole.height:
                continue
            box = Character(
                whole.top + int(top), whole.left + int(left), whole.top + int(bottom), whole.left + int(right_),
                (*whole.labels, -i, -j), float(part.sum()),
            )  # fmt: skip
            # The negative labels make parts of equal boxes differ; their ink is `part`, not that of the labels.
            inside = slice(top, bottom), slice(left, right_)
            image = characters.image_of(ink, box, part[inside], without=(mask & ~part)[inside])
            found[i, j] = (box, image)
    return _Parts(one, ways, found)


def _best(parts: _Parts, prob: dict[tuple[int, int], np.ndarray], typical: float) -> list[_Read]:
    """The most probable way to part a mark; the mark itself, if that is more probable."""
    height = parts.whole.character.height

    def score(character: Character, prob: np.ndarray) -> float:
        broad = max(0.0, character.width / typical - 1)
        return float(np.log(max(prob.max(), 1e-6))) - EACH - BROAD * broad

    best: list[tuple[float, list[_Read]] | None] = [(0.0, []), *[None] * (len(parts.cuts) + 1)]
    for j in range(1, len(best)):
        for i in range(j):
            before = best[i]
            if before is None or (i, j) not in prob:
                continue
            character = parts.parts[i, j][0]
            value = before[0] + score(character, prob[i, j])
            if i > 0:
                value -= CROSSED * parts.cuts[i - 1].crossed / height
            now = best[j]
            if now is None or value > now[0]:
                best[j] = (value, [*before[1], _Read(character, prob[i, j])])
    found = best[-1]
    slender = SPLIT if parts.whole.character.width < SLENDER * typical else 0.0
    if found is None or found[0] - slender <= score(*parts.whole):
        return [parts.whole]
    return found[1]


def _digit(model: Reader, ink: page.PageInk, read: _Read, line: int) -> Digit:
    character, prob = read
    order = np.argsort(-prob, kind="stable")[: min(1 + ALTERNATIVES, int((prob >= 0).sum()))]
    ranked = [(model.classes[k], round(float(prob[k]), 6)) for k in order]
    (y, x), (down, across) = ink.origin, ink.scale
    box = (
        round(x + across * character.left),
        round(y + down * character.top),
        round(across * character.width),
        round(down * character.height),
    )
    return Digit(*ranked[0], ranked[1:], box, line)


def _around(boxes: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    x, y, width, height = np.array(boxes).T
    left, top = int(x.min()), int(y.min())
    return left, top, int((x + width).max()) - left, int((y + height).max()) - top
