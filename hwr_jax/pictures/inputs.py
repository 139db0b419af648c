"""What a user names as pictures (files, folders, CSV files of grey values), and that as model input.

The pictures themselves are made by `normalise`, like every picture in the project.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import normalise

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

Picture = Path | np.ndarray  # a file, or grey values uint8 [side, side], 0 = black, 255 = white


class Inputs(NamedTuple):
    """What came of all that a user named."""

    names: list[str]  # of the pictures that could be read
    images: np.ndarray  # uint8 [N, H, W, 1], 0 = paper, 255 = ink
    unread: list[str]  # a sentence for each of the others


def read(paths: Iterable[str], *, height_px: int, width_px: int, lines: bool) -> Inputs:
    """Reads everything that `paths` name: files, all pictures below a folder, every line of a CSV file of pixels.

    Args:
        paths: in the order in which the pictures are returned.
        height_px, width_px: of the model's images.
        lines: whether the model reads lines of writing, not single characters of 28x28 pixels.

    Raises:
        DataError: a folder without pictures, or a damaged CSV file.
    """
    names, images, unread = [], [], []
    for name, picture in listed(paths):
        try:
            images.append(to_line(picture, height_px, width_px) if lines else to_digit(picture))
            names.append(name)
        except DataError as error:
            unread.append(str(error) if isinstance(picture, Path) else f"{name}: {error}")
        except OSError as error:
            unread.append(f"{name}: {error.strerror or error}")
    shape = (height_px, width_px, 1)
    return Inputs(names, np.stack(images)[..., None] if images else np.zeros((0, *shape), np.uint8), unread)


def listed(paths: Iterable[str]) -> Iterator[tuple[str, Picture]]:
    """Yields the name and the picture for everything that `paths` name, reading no picture file. Raises as `read`."""
    for path in map(Path, paths):
        if path.is_dir():
            inside = pictures_in(path)
            if not inside:
                raise DataError(f"{path} holds no picture")
            yield from ((str(p), p) for p in inside)
        elif path.suffix.lower() == ".csv" and path.is_file():
            for name, _, grey in pixel_rows(path, read_csv(path), labelled=False):
                yield name, grey
        else:
            yield str(path), path


def to_digit(picture: Picture) -> np.ndarray:
    """Turns a picture into model input: uint8 [28, 28], 0 = paper, 255 = ink.

    Grey values of 28x28 with a black frame count as model input already, as in the CSV files of MNIST.

    Raises:
        DataError, OSError: see `normalise.digit_from_picture`.
    """
    if isinstance(picture, Path):
        return normalise.digit_from_picture(picture)
    frame = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    if picture.shape == (normalise.SIZE_PX, normalise.SIZE_PX) and np.median(frame) == 0:
        return picture
    return normalise.digit_from_grey(picture)


def to_line(picture: Picture, height_px: int, width_px: int) -> np.ndarray:
    """Turns a picture of a line of writing into model input: uint8 [height_px, width_px]. Raises as `to_digit`."""
    if isinstance(picture, Path):
        return normalise.line_from_picture(picture, height_px, width_px)
    return normalise.line_from_grey(picture, height_px, width_px)


def pictures_in(folder: Path) -> list[Path]:
    """Returns the picture files anywhere below a folder, sorted, without hidden ones."""
    files = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in files if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def read_csv(place: Path) -> list[list[str]]:
    """Returns the lines of a CSV file, without empty ones. Raises DataError if none is left, or if it is not text."""
    try:
        with place.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{place} is not a CSV file: {error}") from error
    if not rows:
        raise DataError(f"{place} is empty")
    return rows


def pixel_rows(place: Path, rows: list[list[str]], *, labelled: bool) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields the name, the label ("" unless `labelled`) and the grey values uint8 [side, side] of each line.

    Raises:
        DataError: a line that is not a square picture with values of 0 to 255; the sentence names the line.
    """
    first = 0 if rows[0][-1].strip().isdecimal() else 1
    for number, row in enumerate(rows[first:], first + 1):
        values = row[1:] if labelled else row
        side = math.isqrt(len(values))
        if side * side != len(values) or side < 4:
            raise DataError(f"{place}, line {number}: {len(values)} pixels are not a square picture")
        try:
            grey = np.array(values, np.int64)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{place}, line {number}: {error}") from error
        if grey.min() < 0 or grey.max() > 255:
            raise DataError(f"{place}, line {number}: values from {grey.min()} to {grey.max()}, expected 0 to 255")
        yield f"{place}, line {number}", row[0].strip() if labelled else "", grey.astype(np.uint8).reshape(side, side)
