"""Reads pages of digits: `python -m hwr_jax.scan PICTURE...`."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import types
from typing import TYPE_CHECKING

from hwr_jax.cli import command, flags
from hwr_jax.core import errors, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from hwr_jax.inference.reader import Reader
    from hwr_jax.inference.scan import Page

USAGE = """\
Reads all digits in pictures of pages: photographs and scans of one digit or a hundred, dark ink on light paper or the
reverse, on plain or ruled paper. An argument is a picture file (PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, AVIF; HEIC with
pi-heif), a PDF (with pypdfium2), a folder (all of these below it), a pattern such as 'scans/*.png', or - for a picture
on standard input. Of TIFF and PDF all pages are read. Pictures are read on this machine and sent nowhere.

    python -m hwr_jax.scan photo.jpg
    python -m hwr_jax.scan --format=json --reject_below=0.9 scans/ > read.json
    python -m hwr_jax.scan --annotate=checked scans/
    python -m hwr_jax.scan --mode=line --debug=steps code.png
    python -m hwr_jax.scan --workdir=runs/cnn photo.jpg    (your own model)
"""

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS, without="the model that comes with hwr_jax")
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Use one seed of the run; default: the mean probability of all.")
_FORMAT = flags.output_format(FLAGS, ["table", "json", "csv", "text"])
_MODE = FLAGS.choice("mode", "auto", ["auto", "digit", "line", "page"], "What a picture shows; auto finds out.")
_REJECT_BELOW = FLAGS.number(
    "reject_below", 0.0, "Write ? for a digit whose confidence, 0 to 1, is below this; default: never.", at_least=0
)
_ANNOTATE = FLAGS.string(
    "annotate", None, "Folder for copies of the pictures with a box around each digit.", kind="FOLDER"
)
_DEBUG = FLAGS.string(
    "debug", None, "Folder for pictures of each step, from the paper to what the model sees.", kind="FOLDER"
)


def main(paths: list[str]) -> int:
    """Prints what each picture says; returns the exit code, which is 66 if a picture could not be read."""
    if not paths:
        raise errors.ConfigError("no picture was given: name one or more picture files after the flags")
    if _REJECT_BELOW.value > 1:
        raise errors.ConfigError(f"--reject_below={_REJECT_BELOW.value:g} is out of range: use a number from 0 to 1")
    drawn, debug = _made("annotate", _ANNOTATE.value), _made("debug", _DEBUG.value)
    from hwr_jax.cli import console
    from hwr_jax.inference import packaged

    screen = console.make_console(stderr=_FORMAT.value != "table")
    folder = None if _WORKDIR.value is None else command.folder("workdir", _WORKDIR.value)
    model = packaged.open_for_pictures(folder, which=_CHECKPOINT.value or "", seed=_SEED.value, log=screen.print)
    screen.print(packaged.said_of(model, folder))
    problems: list[str] = []
    pages = _read_all(model, paths, drawn, debug, problems)
    _print(pages, screen)
    for words in [*(words for page in pages for words in _said_of(page)), *problems]:
        _complain(words)
    return errors.BAD_DATA if problems else errors.DONE


def _complain(words: str) -> None:
    print(f"hwr_jax: {printable.line(words)}", file=sys.stderr)


def _made(flag: str, value: str | None) -> Path | None:
    """Makes the folder that a flag names. Raises ConfigError, OSError."""
    if value is None:
        return None
    made = command.folder(flag, value)
    if made.exists() and not made.is_dir():
        raise errors.ConfigError(f"--{flag}={made} is a file: name a folder")
    made.mkdir(parents=True, exist_ok=True)
    return made


def _read_all(
    model: Reader, paths: list[str], drawn: Path | None, debug: Path | None, problems: list[str]
) -> list[Page]:
    """Reads every page that is named, whatever becomes of the others; adds to `problems`."""
    from hwr_jax.inference import annotate, listing, scan, stages

    pages, taken = [], set()
    for name, one in listing.pages(paths, problems, _complain):
        if isinstance(one.grey, errors.DataError):
            problems.append(listing.sentence(name, one.grey))
            continue
        page = scan.read_page(model, one.grey, one, name, _MODE.value).rejecting(_REJECT_BELOW.value)
        pages.append(page)
        if drawn:
            with _reported(f"the copy of {page.name} in {drawn}", problems):
                annotate.write(drawn, page, one.grey, taken)
        if debug:
            with _reported(f"the steps of {page.name} in {debug}", problems):
                stages.write(debug, page, scan.steps(model, one.grey, _MODE.value), model.classes, taken)
    return pages


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
    return [f"{page.name}: {one}" for one in words]


def _print(pages: list[Page], screen: Console) -> None:
    if _FORMAT.value == "json":
        print(json.dumps([page.to_json() for page in pages], indent=2))
    elif _FORMAT.value == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["image", "line", "text", "confidence", "x", "y", "width", "height"])
        for page in pages:
            name = printable.cell(page.name)
            for number, line in enumerate(page.lines, 1):
                writer.writerow([name, number, printable.cell(line.text), line.confidence, *line.box])
            if not page.lines:
                writer.writerow([name, "", "", "", "", "", "", ""])
    elif _FORMAT.value == "text":
        print("\n\f".join(map(_text, pages)))  # a form feed between pages, as pdftotext has it
    else:
        from rich.table import Column, Table

        table = Table(Column("image", overflow="fold"), Column("line", justify="right"), "text", "confidence")
        for page in pages:
            name = printable.line(page.name)
            if not page.lines:
                table.add_row(name, "", "(no digits)", "")
            for number, line in enumerate(page.lines, 1):
                text = printable.line(line.text)
                table.add_row(name if number == 1 else "", str(number), text, f"{line.confidence:.4f}")
        screen.print(table)


def _text(page: Page) -> str:
    return "\n".join(printable.line(line.text) for line in page.lines)


class _AsFunction(types.ModuleType):
    """Where this module has been imported, `hwr_jax.scan` is it, and calling it still reads a picture."""

    def __call__(self, *args: Any, **options: Any) -> Page:
        from hwr_jax.inference import packaged

        return packaged.scan(*args, **options)


sys.modules[__name__].__class__ = _AsFunction

if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE, arguments="PICTURE...")
