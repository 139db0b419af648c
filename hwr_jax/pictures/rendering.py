"""Draws the pages of a PDF in a process of its own, which may be stopped. Owns what that process may take.

A PDF of a few hundred bytes can keep pdfium busy for years (forms that draw forms), or crash it, and nothing in its own
process could end that. This file is also the program of that process: it imports nothing of hwr_jax, and no NumPy.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

PAGE_S = 8.0  # for one page, and for opening the file
MOST_BYTES = 1536 * 2**20  # of memory, where the system can limit it
POINTS = 72  # PDF's unit of length, per inch


class Message(NamedTuple):
    """What the process says: {"count": pages}, {"error": words}, or {"width", "height", "stride"} and the pixels."""

    facts: dict[str, Any]
    pixels: bytes  # grey, one byte each, `stride` bytes a row


class StoppedError(Exception):
    """The process said nothing in time, or ended; says why."""


class Process:
    """A process that draws the pages `first` to `last` of a PDF."""

    def __init__(self, content: bytes, first: int, last: int, *, dpi: int, max_pixels: int):
        # It finds pypdfium2 where this process would, and nothing in the current directory or beside this file.
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", __file__, *map(str, (first, last, dpi, max_pixels))]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=env)
        assert self._process.stdin
        with contextlib.suppress(OSError), self._process.stdin as stdin:  # it ended early: `read` will say so
            stdin.write(content)

    def read(self) -> Message:
        """Waits for the next message, at most `PAGE_S`. Raises StoppedError."""
        assert self._process.stdout
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(PAGE_S, stop)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline()
            facts = json.loads(line) if line.endswith(b"\n") else {}
            size = facts.get("stride", 0) * facts.get("height", 0)
            pixels = self._process.stdout.read(size)
        finally:
            timer.cancel()
        if facts and len(pixels) == size:
            return Message(facts, pixels)
        why = f"it takes longer than {PAGE_S:g} s" if late.is_set() else "it is damaged, or needs too much memory"
        raise StoppedError(why)

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        assert self._process.stdout
        self._process.stdout.close()
        self._process.wait()


def _messages(content: bytes, first: int, last: int, dpi: int, max_pixels: int) -> Iterator[Message]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
        count = len(document)
    except pypdfium2.PdfiumError as error:
        yield Message({"error": str(error)}, b"")
        return
    yield Message({"count": count}, b"")
    for number in range(first, min(count, last) + 1):
        try:
            yield _drawn(document[number - 1], dpi, max_pixels)
        except (pypdfium2.PdfiumError, MemoryError) as error:
            yield Message({"error": f"the page is damaged ({error or 'out of memory'})"}, b"")


def _drawn(page, dpi: int, max_pixels: int) -> Message:
    """A page at `dpi`, or coarser if it would have more pixels than allowed."""
    width, height = page.get_size()
    if not (0 < width < 1e6 and 0 < height < 1e6):
        return Message({"error": f"the page measures {width:g}x{height:g} points"}, b"")
    scale = min(dpi / POINTS, (0.99 * max_pixels / (width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        return Message({"width": bitmap.width, "height": bitmap.height, "stride": bitmap.stride}, bytes(bitmap.buffer))
    finally:
        bitmap.close()
        page.close()


def main(*numbers: str) -> None:
    """Reads a PDF from standard input, and writes messages."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows; or less is allowed already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    first, last, dpi, max_pixels = map(int, numbers)
    for message in _messages(sys.stdin.buffer.read(), first, last, dpi, max_pixels):
        sys.stdout.buffer.write(json.dumps(message.facts).encode() + b"\n" + message.pixels)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
