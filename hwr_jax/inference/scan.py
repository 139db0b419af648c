"""Reads a page of digits: `pictures` finds the characters, `parting` takes apart those that touch, the model reads.

`steps` is the way from grey values to what is read; `stages` draws what each step makes of a picture.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core import blas
from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.inference import parting
from hwr_jax.inference.parting import Read
from hwr_jax.inference.reader import Reader
from hwr_jax.pictures import characters, decode, documents, normalise, page
from hwr_jax.pictures.decode import PictureFile

ALTERNATIVES = 3
LETTERS = 0.5  # a line of which more than this share is like no digit is one of letters, some of which are like a 1
OTHER_SIZE = 2.3  # a line of characters by this factor larger or smaller than those of the page is print, or a stamp
NO_DIGIT = 0.5  # a line whose characters are read with less than this, on average, is no line of digits ...
SURE = 0.9  # ... if none of them is read with more than this
NONE_IN_LINE, BESIDE = 0.9, 2  # beside at least two sure digits a mark counts as one, if it is less surely none ...
AS_HIGH, ONE_OF = 0.6, 0.5  # ... higher than this share of them, and one digit rather than any other by this share
MODES = ("auto", "digit", "line", "page")
FEW = 2  # a page with no more digits than this may be a picture of one digit


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
    number: int = 1  # of the page in its file, from 1
    count: int = 1  # of the pages in the file

    @property
    def name(self) -> str:
        """The picture, and which page of it."""
        return documents.page_name(self.picture, self.number, self.count)

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
        own = {"image": self.picture, "page": self.number, "text": self.text, "lines": lines, "digits": digits}
        return own | {"skipped": self.skipped, "notes": self.notes, "ms": round(self.ms, 1)}


class Steps(NamedTuple):
    """What each step of reading a page made of it."""

    grey: np.ndarray  # [h, w] in 0..255, the picture
    ink: page.PageInk | None  # None: blank
    found: list[characters.Character]  # before those that touch are taken apart
    read: list[Read]  # and after it
    rows: list[list[Read]]  # the lines of digits
    skipped: dict[str, int]  # why -> how many


def scan(model: Reader, picture: PictureFile | np.ndarray, *, mode: str = "auto") -> Page:
    """Reads all digits in a picture of any size. A blank one has no lines.

    Args:
      model: of single characters.
      picture: path, bytes or binary file object; or grey values [h, w] in 0..255, 0 = black, 255 = white.
      mode: what it shows: "page", "line" (all digits form one), "digit" (all ink is one) or "auto": a page, of which
        one or two marks may be a single digit, if that is read more surely.

    Raises:
      ConfigError: a model that reads strings, or an unknown mode.
      DataError: not an accepted picture, or a file of several pages: see `pages_of`.
      OSError: the path cannot be read.
    """
    check(model, mode)
    start = time.perf_counter()
    name = "the given array" if isinstance(picture, np.ndarray) else decode.name_of(picture)
    grey = decode.as_grey(picture) if isinstance(picture, np.ndarray) else documents.read_one(picture)
    return read_grey(model, grey, mode)._replace(picture=name, ms=1000 * (time.perf_counter() - start))


def pages_of(model: Reader, picture: PictureFile, *, mode: str = "auto") -> Iterator[Page | DataError]:
    """Reads a file of one or several pages (TIFF, PDF), one after the other: yields what each page says, or why it
    cannot be read. Args and errors: as of `scan`."""
    check(model, mode)
    for page_of_file in documents.pages(picture):
        grey = page_of_file.grey
        yield grey if isinstance(grey, DataError) else read_page(model, grey, page_of_file, picture, mode)


def read_page(
    model: Reader, grey: np.ndarray, page_of_file: documents.DocumentPage, picture: PictureFile, mode: str = "auto"
) -> Page:
    """Reads the grey values [h, w] of a page of a file; see `read_grey`."""
    start = time.perf_counter()
    read = read_grey(model, grey, mode)
    ms = page_of_file.ms + 1000 * (time.perf_counter() - start)
    return read._replace(picture=decode.name_of(picture), number=page_of_file.number, count=page_of_file.count, ms=ms)


def check(model: Reader, mode: str) -> None:
    """Raises ConfigError: a model that reads strings, or an unknown mode."""
    if model.reads_strings:
        raise ConfigError("this model reads lines, and a page is read character by character: use a model of digits")
    if mode not in MODES:
        raise ConfigError(f"mode={mode!r} is not known: use one of {', '.join(MODES)}")


def read_grey(model: Reader, grey: np.ndarray, mode: str = "auto") -> Page:
    """The same of accepted grey values [h, w] (`decode.as_grey`); the picture has no name."""
    with blas.one_thread:
        return _read_grey(model, grey, mode)


def _read_grey(model: Reader, grey: np.ndarray, mode: str) -> Page:
    if mode == "digit":
        return _as_one_digit(model, grey)
    done = steps(model, grey)
    rows, notes = done.rows, _notes(done.ink)
    if mode == "line" and len(rows) > 1:
        notes.append(f"{len(rows)} lines were found, and are read as one from left to right")
        rows = [sorted(itertools.chain(*rows), key=lambda mark: mark.character.left)]
    lines, digits = ([], []) if done.ink is None else _results(model, done.ink, rows)
    found = Page("", lines, digits, done.skipped, notes, 0.0)
    if mode == "auto" and len(found.digits) <= FEW:
        digit = _as_one_digit(model, grey)
        if not digit.notes and digit.text != found.text and _confidence(digit) > max(NO_DIGIT, _confidence(found)):
            return digit._replace(notes=["read as a picture of one digit"])
    return found


def steps(model: Reader, grey: np.ndarray, mode: str = "page") -> Steps:
    """Every step from grey values [h, w] to lines of digits; with mode="digit", to one digit. See `scan`."""
    if mode == "digit":
        return _steps_to_one(model, grey)[0]
    try:
        ink = page.find_marks(grey)
    except DataError:  # a blank page
        return Steps(grey, None, [], [], [], {})
    found = characters.characters(ink)
    read, beyond = parting.parted(model, ink, parting.read(model, ink, found.characters))
    rows, left_out = _rows_of_digits(read)
    left_out["like no digit"] -= beyond
    left_out[f"beyond {parting.MOST} marks to take apart"] = beyond
    skipped = found.dropped | {why: count for why, count in left_out.items() if count}
    return Steps(grey, ink, found.characters, read, rows, skipped)


def _results(model: Reader, ink: page.PageInk, rows: list[list[Read]]) -> tuple[list[Line], list[Digit]]:
    lines: list[Line] = []
    digits: list[Digit] = []
    for row in rows:
        ranked = _ranked(model, np.stack([mark.prob for mark in row]))
        boxes = np.rint(ink.boxes_in_picture(np.array([mark.character[:4] for mark in row]))).astype(int).tolist()
        own = [Digit(*r[0], r[1:], (b[0], b[1], b[2], b[3]), len(lines)) for r, b in zip(ranked, boxes, strict=True)]
        box = _around([d.box for d in own])
        lines.append(Line("".join(d.label for d in own), round(float(np.prod([d.confidence for d in own])), 6), box))
        digits += own
    return lines, digits


def _as_one_digit(model: Reader, grey: np.ndarray) -> Page:
    """The picture as `predict` reads it: all of it is one digit, whose box is the picture."""
    done, doubts = _steps_to_one(model, grey)
    if not done.read:
        return Page("", [], [], {}, [], 0.0)
    [ranked] = _ranked(model, done.read[0].prob[None])
    digit = Digit(*ranked[0], ranked[1:], (0, 0, grey.shape[1], grey.shape[0]), 0)
    return Page("", [Line(digit.label, digit.confidence, digit.box)], [digit], {}, list(doubts), 0.0)


def _steps_to_one(model: Reader, grey: np.ndarray) -> tuple[Steps, tuple[str, ...]]:
    """The same, as steps, and what speaks against it."""
    try:
        found = normalise.normalised(grey)
    except DataError:  # a blank picture
        return Steps(grey, None, [], [], [], {}), ()
    whole = characters.Character(0, 0, *grey.shape, labels=(), mass=0.0)
    [prob] = parting.probabilities(model, [found.image], again=True)
    mark = Read(whole, np.where(prob < 0, prob, prob * found.trust), found.image)
    return Steps(grey, None, [whole], [mark], [[mark]], {}), found.doubts


def _confidence(read: Page) -> float:
    """That all of the page is right, if the mistakes are independent; 0 of nothing."""
    return float(np.prod([line.confidence for line in read.lines])) if read.lines else 0.0


def _rows_of_digits(read: list[Read]) -> tuple[list[list[Read]], dict[str, int]]:
    """The lines of writing that are of digits, and how many characters were left out, and why."""
    by_character = {mark.character: mark for mark in read}
    rows, no_digits = [], 0
    for characters_of_row in characters.lines(list(by_character)):
        whole = [by_character[c] for c in characters_of_row]
        row = _digits_of(whole)
        sure = [float(mark.prob.max()) for mark in row]
        is_text = len(row) < (1 - LETTERS) * len(whole)
        if not row or is_text or (np.mean(sure) < NO_DIGIT and max(sure) < SURE):
            no_digits += len(whole)
        else:
            no_digits += len(whole) - len(row)
            rows.append(row)
    heights = [float(np.median([mark.character.height for mark in row])) for row in rows]
    typical = float(np.median([mark.character.height for row in rows for mark in row])) if rows else 0.0
    alike = [typical / OTHER_SIZE < height < typical * OTHER_SIZE for height in heights]
    other = sum(len(row) for row, fits in zip(rows, alike, strict=True) if not fits)
    kept = [row for row, fits in zip(rows, alike, strict=True) if fits]
    return kept, {"like no digit": no_digits, "in lines of another size": other}


def _digits_of(whole: list[Read]) -> list[Read]:
    """Those of a line that are digits. What may be none is, among sure digits, more probably a badly written one: it
    stays, with the low confidence that it has."""
    surely = [mark.character.height for mark in whole if not mark.is_none and mark.prob.max() > SURE]
    if len(surely) < max(BESIDE, LETTERS * len(whole)):
        return [mark for mark in whole if not mark.is_none]
    least = AS_HIGH * float(np.median(surely))

    def is_badly_written(mark: Read) -> bool:
        looks_like_a_digit = mark.prob.max() > ONE_OF * (1 - mark.none)
        return mark.none < NONE_IN_LINE and mark.character.height > least and bool(looks_like_a_digit)

    return [mark for mark in whole if not mark.is_none or is_badly_written(mark)]


def in_words(skipped: Mapping[str, int]) -> str:
    """Returns "2 too pale, 1 at the outline" of `Page.skipped`, or of a sum of such; "" of nothing."""
    return ", ".join(f"{count} {why}" for why, count in skipped.items())


def _notes(ink: page.PageInk | None) -> list[str]:
    if ink is None or ink.sheet is None:
        return []
    top, left, bottom, right = ink.sheet.box
    size = f"{right - left}x{bottom - top} pixels of the picture"
    straightened = ", straightened" if ink.sheet.is_straightened else ""
    return [f"only the sheet at x={left}, y={top} was read, {size}{straightened}"]


def _ranked(model: Reader, prob: np.ndarray) -> list[list[tuple[str, float]]]:
    """The most probable classes of each row: float [N, K]."""
    classes = model.classes
    orders = np.argsort(-prob, axis=1, kind="stable")[:, : 1 + ALTERNATIVES]
    return [
        [(classes[k], round(float(of[k]), 6)) for k in order if of[k] >= 0]
        for order, of in zip(orders.tolist(), prob, strict=True)
    ]


def _around(boxes: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    x, y, width, height = np.array(boxes).T
    left, top = int(x.min()), int(y.min())
    return left, top, int((x + width).max()) - left, int((y + height).max()) - top
