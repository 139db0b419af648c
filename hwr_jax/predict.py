"""Reads pictures of one character or of one line: `python -m hwr_jax.predict PICTURE...`."""

from __future__ import annotations

import csv
import functools
import json
import sys
from typing import TYPE_CHECKING, Any

from hwr_jax.cli import command, flags
from hwr_jax.core import errors, printable

if TYPE_CHECKING:
    from hwr_jax.inference.reader import Reader
    from hwr_jax.pictures import inputs

USAGE = """\
Reads pictures of one character each or, with a model that reads strings, of one line each. They may have any size, dark
ink on light paper or the reverse, as PNG, JPEG, WebP, BMP, GIF, TIFF, PPM or AVIF. An argument may also be a folder
(all pictures below it), a CSV file (a picture file, or the grey values of a square picture, per line; labels are
ignored), an IDX file, a NumPy archive, or - for a picture on standard input. If the run has several seeds, their
probabilities are averaged; --seed=N selects one. A picture with several characters or lines, or with a line that is too
long for the model, is reported, and its confidence is lowered; scan reads such pictures.

    python -m hwr_jax.predict photo.jpg scan.png
    python -m hwr_jax.predict --workdir=runs/cnn photo.jpg    (your own model)
    python -m hwr_jax.predict --workdir=runs/cnn --format=csv unlabelled/ > predictions.csv
    curl -s https://example.org/digit.png | python -m hwr_jax.predict --workdir=runs/cnn -
"""
ALTERNATIVES = 3  # how many of the next best classes are listed

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS, without="the model that comes with hwr_jax")
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Use one seed of the run; default: the mean probability of all.")
_FORMAT = flags.output_format(FLAGS, ["table", "json", "csv"])
_LABEL_COLUMN, _PIXEL_SCALE, _ORIENTATION = flags.reading(FLAGS)


def main(paths: list[str]) -> int:
    """Prints a prediction for each picture; returns the exit code, which is 66 if a picture could not be read. Raises
    ConfigError if none is named."""
    if not paths:
        raise errors.ConfigError("no picture was given: name one or more picture files after the flags")
    from hwr_jax.cli import console
    from hwr_jax.inference import packaged
    from hwr_jax.inference import rows as readings
    from hwr_jax.pictures import inputs, tables

    screen = console.make_console(stderr=_FORMAT.value != "table")
    folder = None if _WORKDIR.value is None else command.folder("workdir", _WORKDIR.value)
    model = packaged.open_for_pictures(folder, which=_CHECKPOINT.value or "", seed=_SEED.value, log=screen.print)
    height_px, width_px = model.facts["shape"][:2]
    reading = tables.Reading(_LABEL_COLUMN.value, _PIXEL_SCALE.value, _ORIENTATION.value)
    lines = model.reads_strings
    given = inputs.read(paths, height_px=height_px, width_px=width_px, lines=lines, reading=reading)
    for note in given.notes:
        print(f"hwr_jax: {note}", file=sys.stderr)
    found = [model.judged(one) for one in given.found]
    likely = model.read(given.images, best=1 + ALTERNATIVES)
    if not lines:
        _warn_of_turned(given, likely, model)
    rows = readings.read_out(given.names, likely, found)
    screen.print(packaged.said_of(model, folder))
    if rows or _FORMAT.value != "table":
        _print(rows, screen)
    doubts = [f"{row['image']}: {doubt}" for row in rows for doubt in row.get("warnings", [])]
    for problem in [*doubts, *given.unread]:
        print(f"hwr_jax: {printable.line(problem)}", file=sys.stderr)
    return errors.BAD_DATA if given.unread else errors.DONE


def _warn_of_turned(given: inputs.Inputs, likely: list[list[tuple[str, float]]], model: Reader) -> None:
    """Warns of each file of grey values that reads better with rows and columns swapped."""
    import numpy as np

    from hwr_jax.data import orientation

    for name, rows in given.grey.items():
        sure = np.array([likely[i][0][1] for i in rows])
        read = functools.partial(model.read, best=1)
        if words := orientation.warning_unlabelled(name, given.images[rows], sure, read, _ORIENTATION.value):
            print(f"hwr_jax: {printable.line(words)}", file=sys.stderr)


def _print(rows: list[dict[str, Any]], screen) -> None:
    def others(row):
        return [f"{a['label']} {a['confidence']:.4f}" for a in row["alternatives"]]

    if _FORMAT.value == "json":
        print(json.dumps(rows, indent=2))
    elif _FORMAT.value == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["image", "label", "confidence", "alternatives", "warnings"])
        for r in rows:
            texts = [r["image"], r["label"], "; ".join(others(r)), "; ".join(r.get("warnings", []))]
            image, label, alternatives, warnings = map(printable.cell, texts)
            writer.writerow([image, label, r["confidence"], alternatives, warnings])
    else:
        from rich.table import Column, Table

        table = Table(Column("image", overflow="fold"), "label", "confidence", "alternatives")
        for row in rows:
            confidence = f"{row['confidence']:.4f}{' (see below)' if 'warnings' in row else ''}"
            table.add_row(*map(printable.line, (row["image"], row["label"], confidence, ", ".join(others(row)))))
        screen.print(table)


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE, arguments="PICTURE...")
