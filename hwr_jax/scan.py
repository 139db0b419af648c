"""Reads pages of digits: `python -m hwr_jax.scan --workdir=runs/cnn PICTURE...`."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

from hwr_jax.cli import command, flags
from hwr_jax.core import errors, printable

if TYPE_CHECKING:
    from pathlib import Path

    from hwr_jax.inference.scan import Page

USAGE = """\
Reads all digits in pictures of pages: photographs and scans of one digit or a hundred, dark ink on light paper or the
reverse, on plain or ruled paper. An argument is a picture file (PNG, JPEG, WebP, BMP, GIF, TIFF, PPM or AVIF), a folder
(all pictures below it), or - for a picture on standard input. Pictures are read on this machine and sent nowhere.

    python -m hwr_jax.scan --workdir=runs/cnn photo.jpg
    python -m hwr_jax.scan --workdir=runs/cnn --format=json --reject_below=0.9 scans/ > read.json
    python -m hwr_jax.scan --workdir=runs/cnn --annotate=checked scans/
"""

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS)
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Use one seed of the run; default: the mean probability of all.")
_FORMAT = flags.output_format(FLAGS, ["table", "json", "csv", "text"])
_REJECT_BELOW = FLAGS.number(
    "reject_below", 0.0, "Write ? for a digit whose confidence, 0 to 1, is below this; default: never.", at_least=0
)
_ANNOTATE = FLAGS.string(
    "annotate", None, "Folder for copies of the pictures with a box around each digit.", kind="FOLDER"
)


def main(paths: list[str]) -> int:
    """Prints what each picture says; returns the exit code, which is 66 if a picture could not be read."""
    folder = command.folder("workdir", _WORKDIR.value)
    if not paths:
        raise errors.ConfigError("no picture was given: name one or more picture files after the flags")
    if _REJECT_BELOW.value > 1:
        raise errors.ConfigError(f"--reject_below={_REJECT_BELOW.value:g} is out of range: use a number from 0 to 1")
    drawn = command.folder("annotate", _ANNOTATE.value) if _ANNOTATE.value else None
    from hwr_jax.cli import console
    from hwr_jax.data import cache
    from hwr_jax.inference import annotate, predictor, scan
    from hwr_jax.pictures import inputs
    from hwr_jax.steps import compile_cache

    screen = console.make_console(stderr=_FORMAT.value != "table")
    compile_cache.cache_compilations(cache.default_cache_dir())
    model = predictor.load(folder, which=_CHECKPOINT.value or "", seed=_SEED.value, log=screen.print)
    screen.print(f"{folder}: {console.trained_on(model.facts['name'])}")
    pages, problems, notes = [], [], []
    taken: set[Path] = set()
    for argument in paths:
        try:
            for name, picture in inputs.listed([argument], inputs.PLAIN, notes):
                try:
                    page = scan.scan(model, picture)._replace(picture=name).rejecting(_REJECT_BELOW.value)
                    pages.append(page)
                    if drawn:
                        annotate.write(drawn, page, picture, taken)
                except errors.DataError as error:
                    problems.append(str(error))
                except OSError as error:
                    problems.append(f"{name}: {error.strerror or error}")
        except errors.DataError as error:
            problems.append(str(error))
    _print(pages)
    skipped = [f"{p.picture}: skipped {_marks(p.skipped)} that look like no digits" for p in pages if p.skipped]
    for words in [*notes, *skipped, *problems]:
        print(f"hwr_jax: {printable.line(words)}", file=sys.stderr)
    return errors.BAD_DATA if problems else errors.DONE


def _marks(count: int) -> str:
    return "1 mark" if count == 1 else f"{count} marks"


def _print(pages: list[Page]) -> None:
    if _FORMAT.value == "json":
        print(json.dumps([page.to_json() for page in pages], indent=2))
    elif _FORMAT.value == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["image", "line", "text", "confidence", "x", "y", "width", "height"])
        for page in pages:
            for number, line in enumerate(page.lines, 1):
                writer.writerow([printable.cell(page.picture), number, line.text, line.confidence, *line.box])
    elif _FORMAT.value == "text":
        for page in pages:
            print(page.text)
    else:
        from rich.table import Column, Table

        from hwr_jax.cli import console

        table = Table(Column("image", overflow="fold"), Column("line", justify="right"), "text", "confidence")
        for page in pages:
            name = printable.line(page.picture)
            if not page.lines:
                table.add_row(name, "", "(no digits)", "")
            for number, line in enumerate(page.lines, 1):
                table.add_row(name if number == 1 else "", str(number), line.text, f"{line.confidence:.4f}")
        console.make_console().print(table)


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE, arguments="PICTURE...")
