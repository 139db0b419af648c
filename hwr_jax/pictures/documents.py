"""Files of several pages, TIFF and PDF, as grey values one page after the other. Owns which pages are read.

`decode.py` reads the files of one picture, and every page of a TIFF by the same rules; `rendering.py` draws a PDF's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import decode, rendering
from hwr_jax.pictures.decode import MAX_BYTES, MAX_PIXELS, PictureFile

MOST_PAGES = decode.MAX_COUNTED  # of one file
DPI = 200  # of a rendered PDF: digits of 3 mm are 24 pixels high
MOST_STOPPED = 3  # pages of a PDF that cannot be drawn, until the others are given up: each may take PAGE_S
PDF, WITHIN = b"%PDF-", 1024  # the mark of a PDF, and in how many first bytes readers look for it


class DocumentPage(NamedTuple):
    """One page of a file."""

    grey: np.ndarray | DataError  # uint8 or float32 [h, w] in 0..255 (`decode.read_grey`), or why it cannot be read
    number: int  # from 1
    count: int  # of the pages in the file
    ms: float  # milliseconds that reading it took


def page_name(picture: str, number: int, count: int) -> str:
    """Returns "scan.pdf, page 2", or "photo.jpg" of a file of one page."""
    return picture if count == 1 else f"{picture}, page {number}"


def is_pdf(content: bytes) -> bool:
    """Whether a file, or its first kilobyte, is a PDF."""
    return PDF in content[:WITHIN]


def pages(source: PictureFile, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Iterator[DocumentPage]:
    """Yields the pages of a file: one of a picture, all of a TIFF or PDF, or the first 100. PDF needs pypdfium2.

    A page that cannot be read does not spoil the others; an animation is refused, for its pictures are no pages.

    Raises:
        DataError: the file as a whole is not accepted.
        OSError: the path cannot be opened or read.
    """
    name, content = decode.content_of(source, max_bytes)
    if is_pdf(content):
        yield from _of_pdf(content, name, max_pixels)
    else:
        yield from _of_picture(content, name, max_pixels)


def read_one(source: PictureFile) -> np.ndarray:
    """The grey values of a file of one page. Raises DataError, OSError: as of `pages`, and for several pages."""
    found = next(pages(source))
    if found.count > 1:
        raise DataError(f"{decode.name_of(source)}: the file holds {found.count} pages; exactly one is accepted here")
    if isinstance(found.grey, DataError):
        raise found.grey
    return found.grey


def _of_picture(content: bytes, name: str, max_pixels: int) -> Iterator[DocumentPage]:
    """One page, or those of a TIFF."""
    if not content.startswith(decode.TIFF_STARTS):
        start = time.perf_counter()
        yield DocumentPage(decode.grey_of(content, name, max_pixels), 1, 1, _ms_since(start))
        return
    with contextlib.ExitStack() as open_file:
        with decode.refusing(content, name):
            image = open_file.enter_context(decode.opened(content, name))
            count = decode.count(image)
        for number in range(1, min(count, MOST_PAGES) + 1):
            start, page = time.perf_counter(), page_name(name, number, count)
            grey: np.ndarray | DataError
            try:
                with decode.refusing(content, page):
                    image.seek(number - 1)
                    grey = decode.decoded(image, page, max_pixels)
            except DataError as error:
                if count == 1:
                    raise
                grey = error
            yield DocumentPage(grey, number, count, _ms_since(start))
    if count > MOST_PAGES:
        yield _too_many(name, count, "more")


def _of_pdf(content: bytes, name: str, max_pixels: int) -> Iterator[DocumentPage]:
    if importlib.util.find_spec("pypdfium2") is None:
        how = "install pypdfium2 (python -m pip install pypdfium2), or save the pages as pictures"
        raise DataError(f"{name}: a PDF, and pypdfium2, which reads it, is not installed: {how}")
    number, count, stopped = 1, 1, 0
    while number <= min(count, MOST_PAGES):
        if stopped == MOST_STOPPED:
            words = f"{name}: pages {number} to {count} were not read, for {stopped} could not be drawn in time"
            yield DocumentPage(DataError(words), number, count, 0.0)
            return
        process = rendering.Process(content, number, MOST_PAGES, dpi=DPI, max_pixels=max_pixels)
        with contextlib.closing(process):
            count = _count(process, name)
            while number <= min(count, MOST_PAGES):
                start, page = time.perf_counter(), page_name(name, number, count)
                grey: np.ndarray | DataError
                ended = False
                try:
                    grey = _grey(process.read(), page)
                except DataError as error:
                    grey = error
                except rendering.StoppedError as error:
                    grey, ended = DataError(f"{page}: the page cannot be drawn: {error}"), True
                yield DocumentPage(grey, number, count, _ms_since(start))
                number += 1
                if ended:  # the pages behind it may be good
                    stopped += 1
                    break
    if count > MOST_PAGES:
        yield _too_many(name, count, f"{count - MOST_PAGES:,}")


def _count(process: rendering.Process, name: str) -> int:
    """The number of pages, which comes first."""
    try:
        facts = process.read().facts
    except rendering.StoppedError as error:
        raise DataError(f"{name}: the PDF cannot be opened: {error}") from None
    if "error" in facts:
        raise DataError(f"{name}: the PDF is damaged, or needs a password ({facts['error']})")
    if not facts["count"]:
        raise DataError(f"{name}: the PDF has no pages")
    return facts["count"]


def _grey(message: rendering.Message, name: str) -> np.ndarray:
    """A page as it was drawn: uint8 [h, w]."""
    facts = message.facts
    if "error" in facts:
        raise DataError(f"{name}: {facts['error']}")
    try:
        rows = np.frombuffer(message.pixels, np.uint8).reshape(facts["height"], facts["stride"])
        return decode.as_grey(np.array(rows[:, : facts["width"]]))
    except DataError as error:
        raise DataError(str(error).replace("the grey values", name)) from None


def _too_many(name: str, count: int, others: str) -> DocumentPage:
    words = f"{name}: the first {MOST_PAGES} pages were read, and {others} were not: split the file"
    return DocumentPage(DataError(words), MOST_PAGES + 1, count, 0.0)


def _ms_since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)
