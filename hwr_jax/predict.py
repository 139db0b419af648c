"""Reads pictures of one character or of one line: `python -m hwr_jax.predict --workdir=runs/cnn IMAGE...`."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Reads pictures of one character each or, with a model that reads strings, of one line each. They may have any size, dark
ink on light paper or the reverse, as PNG, JPEG, WebP, BMP, GIF, TIFF, PPM or AVIF. An argument may also be a folder
(all pictures below it), a CSV file (a picture file, or the grey values of a square picture, per line; labels are
ignored), an IDX file, or a NumPy archive. If the run has several seeds, their probabilities are averaged; --seed=N
selects one.

    python -m hwr_jax.predict --workdir=runs/cnn photo.jpg scan.png
    python -m hwr_jax.predict --workdir=runs/cnn --format=csv unlabelled/ > predictions.csv
"""
ALTERNATIVES = 3  # how many of the next best classes are listed

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS)
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Use one seed of the run; default: the mean probability of all.")
_FORMAT = flags.output_format(FLAGS, ["table", "json", "csv"])
_LABEL_COLUMN, _PIXEL_SCALE, _ORIENTATION = flags.reading(FLAGS)


def main(paths: list[str]) -> int:
    """Prints a prediction for each picture; returns the exit code, which is 66 if a picture could not be read."""
    folder = command.folder("workdir", _WORKDIR.value)
    if not paths:
        raise errors.ConfigError("no picture was given: name one or more picture files after the flags")
    from hwr_jax.cli import console
    from hwr_jax.data import cache
    from hwr_jax.inference import predictor
    from hwr_jax.pictures import inputs, tables
    from hwr_jax.steps import compile_cache

    screen = console.make_console(stderr=_FORMAT.value != "table")
    compile_cache.cache_compilations(cache.default_cache_dir())
    model = predictor.load(folder, which=_CHECKPOINT.value or "", seed=_SEED.value, log=screen.print)
    height_px, width_px = model.facts["shape"][:2]
    given = tables.Reading(_LABEL_COLUMN.value, _PIXEL_SCALE.value, _ORIENTATION.value)
    lines = model.reads_strings
    read = inputs.read(paths, height_px=height_px, width_px=width_px, lines=lines, reading=given)
    names, images, unread = read.names, read.images, read.unread
    for note in read.notes:
        print(f"hwr_jax: {note}", file=sys.stderr)
    rows = read_out(names, model.read(images, best=1 + ALTERNATIVES))
    screen.print(f"{folder}: {console.trained_on(model.facts['name'])}")
    if rows or _FORMAT.value != "table":
        _print(rows, screen)
    for problem in unread:
        print(f"hwr_jax: {problem}", file=sys.stderr)
    return errors.BAD_DATA if unread else errors.DONE


def read_out(names: list[str], read: list[list[tuple[str, float]]]) -> list[dict[str, Any]]:
    """Returns {"image", "label", "confidence", "alternatives"} for each picture, the best alternative first."""
    rows = []
    for name, found in zip(names, read, strict=True):
        ranked = [{"label": label, "confidence": round(prob, 6)} for label, prob in found]
        rows.append({"image": name, **ranked[0], "alternatives": ranked[1:]})
    return rows


def _print(rows: list[dict[str, Any]], screen) -> None:
    def others(row):
        return [f"{a['label']} {a['confidence']:.4f}" for a in row["alternatives"]]

    if _FORMAT.value == "json":
        print(json.dumps(rows, indent=2))
    elif _FORMAT.value == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["image", "label", "confidence", "alternatives"])
        writer.writerows([r["image"], r["label"], r["confidence"], "; ".join(others(r))] for r in rows)
    else:
        from rich.table import Column, Table

        table = Table(Column("image", overflow="fold"), "label", "confidence", "alternatives")
        for row in rows:
            table.add_row(row["image"], row["label"], f"{row['confidence']:.4f}", ", ".join(others(row)))
        screen.print(table)


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE, arguments="PICTURE...")
