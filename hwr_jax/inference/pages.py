"""Reading pages from a command line, whatever program it belongs to: its flags, every page read, and what is printed.

The program opens the model and prints tables. Importing this file imports no NumPy, so that `--help` stays fast.
"""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hwr_jax.cli import folders
from hwr_jax.core import errors, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwr_jax.inference.reader import Reader
    from hwr_jax.inference.scan import Page

WHAT = """\
Reads all digits in pictures of pages: photographs and scans of one digit or a hundred, dark ink on light paper or the
reverse, on plain or ruled paper. An argument is a picture file (PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, AVIF; HEIC with
pi-heif), a PDF (with pypdfium2), a folder (all of these below it), a pattern such as 'scans/*.png', or - for a picture
on standard input. Of TIFF and PDF all pages are read. Pictures are read on this machine and sent nowhere."""
FORMATS = ("table", "json", "csv", "text")
MODES = ("auto", "digit", "line", "page")
TABLE = ("image", "line", "text", "confidence")  # its columns


class Asked(NamedTuple):
    """What a command line asks for, beside the pictures and the model."""

    format: str  # of FORMATS
    mode: str  # of MODES
    reject_below: float  # 0..1
    annotate: Path | None
    debug: Path | None


def define(verb: Any) -> Callable[[], Asked]:
    """Defines the flags on `verb` (which has the methods `string`, `number` and `choice` of `cli.flags.Flags`).

    Returns what makes `Asked` of their values, once they are parsed, and makes the folders; it raises ConfigError and
    OSError.
    """
    form = verb.choice("format", FORMATS[0], list(FORMATS), "How to print the results.")
    mode = verb.choice("mode", "auto", list(MODES), "What a picture shows; auto finds out.")
    reject = "Write ? for a digit whose confidence, 0 to 1, is below this; default: never."
    reject_below = verb.number("reject_below", 0.0, reject, at_least=0)
    of_copies = "Folder for copies of the pictures with a box around each digit."
    annotate = verb.string("annotate", None, of_copies, kind="FOLDER")
    of_steps = "Folder for pictures of each step, from the paper to what the model sees."
    debug = verb.string("debug", None, of_steps, kind="FOLDER")

    def asked() -> Asked:
        if reject_below.value > 1:
            raise errors.ConfigError(f"--reject_below={reject_below.value:g} is out of range: use a number from 0 to 1")
        copies, steps = folders.made("annotate", annotate.value), folders.made("debug", debug.value)
        return Asked(form.value, mode.value, reject_below.value, copies, steps)

    return asked


def need(paths: list[str]) -> None:
    """Raises ConfigError if no picture was named."""
    if not paths:
        raise errors.ConfigError("no picture was given: name one or more picture files after the flags")


def _read_all(model: Reader, paths: list[str], asked: Asked) -> tuple[list[Page], list[str]]:
    """Reads every page that is named, whatever becomes of the others; returns them, and a sentence for each problem."""
    from hwr_jax.inference import annotate, listing, scan, stages

    scan.check(model, asked.mode)
    pages, taken = [], set()
    problems: list[str] = []
    for name, page_of_file in listing.pages(paths, problems, _complain):
        if isinstance(page_of_file.grey, errors.DataError):
            problems.append(listing.sentence(name, page_of_file.grey))
            continue
        page = scan.read_page(model, page_of_file.grey, page_of_file, name, asked.mode).rejecting(asked.reject_below)
        pages.append(page)
        if asked.annotate:
            with _reported(f"the copy of {page.name} in {asked.annotate}", problems):
                annotate.write(asked.annotate, page, page_of_file.grey, taken)
        if asked.debug:
            with _reported(f"the steps of {page.name} in {asked.debug}", problems):
                stages.write(asked.debug, page, scan.steps(model, page_of_file.grey, asked.mode), model.classes, taken)
    return pages, problems


def run(model: Reader, paths: list[str], asked: Asked, show: Callable[[list[Page]], object]) -> int:
    """Reads and prints every page that is named; `show` prints tables. Returns the exit code: 66 for any problem."""
    pages, problems = _read_all(model, paths, asked)
    if asked.format == "table":
        show(pages)
    else:
        PRINTED[asked.format](pages)
    for words in [*(words for page in pages for words in _said_of(page)), *problems]:
        _complain(words)
    return errors.BAD_DATA if problems else errors.DONE


def rows(pages: list[Page]) -> list[tuple[str, str, str, str]]:
    """Returns the cells of the table, under TABLE: a row for each line; the name of a page stands in its first."""
    made = []
    for page in pages:
        name = printable.line(page.name)
        if not page.lines:
            made.append((name, "", "(no digits)", ""))
        for number, line in enumerate(page.lines, 1):
            first = name if number == 1 else ""
            made.append((first, str(number), printable.line(line.text), f"{line.confidence:.4f}"))
    return made


def _complain(words: str) -> None:
    print(f"{printable.PACKAGE}: {printable.line(words)}", file=sys.stderr)


@contextlib.contextmanager
def _reported(what: str, problems: list[str]) -> Iterator[None]:
    """Adds to `problems` what keeps a file from being written."""
    try:
        yield
    except OSError as error:
        problems.append(f"{what} cannot be written: {error.strerror or error}")


def _said_of(page: Page) -> list[str]:
    """The sentences about what was not read on a page."""
    from hwr_jax.inference import scan

    words = [*page.notes, *([f"marks that were not read: {scan.in_words(page.skipped)}"] if page.skipped else [])]
    return [f"{page.name}: {sentence}" for sentence in words]


def _print_json(pages: list[Page]) -> None:
    print(json.dumps([page.to_json() for page in pages], indent=2))


def _print_csv(pages: list[Page]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "line", "text", "confidence", "x", "y", "width", "height"])
    for page in pages:
        name = printable.cell(page.name)
        for number, line in enumerate(page.lines, 1):
            writer.writerow([name, number, printable.cell(line.text), line.confidence, *line.box])
        if not page.lines:
            writer.writerow([name, "", "", "", "", "", "", ""])


def _print_text(pages: list[Page]) -> None:
    texts = ("\n".join(printable.line(line.text) for line in page.lines) for page in pages)
    print("\n\f".join(texts))  # a form feed between pages, as pdftotext has it


PRINTED = {"json": _print_json, "csv": _print_csv, "text": _print_text}
