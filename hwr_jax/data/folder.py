"""A user's own labelled pictures as a data set. Owns the layouts; `pictures/` reads the pictures themselves.

FOLDER/<class>/*.png                  one folder per class; a fifth of each class becomes the test split
FOLDER/train/<class>/*, test/<class>/*   the same, with a test split of your own
FILE.csv: path,label                  one picture per line, its path relative to the file
FILE.csv: label,pixel0,...            one square picture of grey values 0..255 per line, row by row
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data.content import Content
from hwr_jax.data.progress import track
from hwr_jax.data.sources import IMAGE_SHAPE, Source
from hwr_jax.data.splits import carve
from hwr_jax.pictures import inputs
from hwr_jax.pictures.decode import FORMATS

TEST_PART = 5  # one in five pictures goes to the test split, unless the user made one
SHOWN = 3  # how many unusable pictures an error names


class Item(NamedTuple):
    """One example."""

    split: str  # train, test, or "" for either
    label: str
    name: str  # for messages
    picture: inputs.Picture  # not read yet


def items(place: Path) -> list[Item]:
    """Lists the examples of a folder or CSV file, sorted, reading no picture file.

    Raises:
        ConfigError: nothing is there.
        DataError: it has none of the layouts above.
    """
    if place.is_dir():
        return list(_in_folders(place))
    if place.is_file():
        return list(_in_csv(place))
    raise ConfigError(f"config.data.manual_dir={str(place)!r} is neither a folder nor a CSV file: name your pictures")


def describe(name: str, place: Path, found: list[Item]) -> Source:
    """Returns the facts about the data set: classes in order (numbers by value), sizes, and a version that changes with
    the name, size or time of any file.

    Raises:
        DataError: fewer than two classes, or one that is not in the training split.
    """
    digest = hashlib.sha256(str(place.resolve()).encode())
    for item in found:
        about = item.picture.tobytes() if isinstance(item.picture, np.ndarray) else repr(_stamp(item.picture)).encode()
        digest.update(f"{item.split}/{item.label}/{item.name}".encode() + about)
    classes = tuple(sorted({item.label for item in found}, key=_in_order))
    if len(classes) < 2:
        raise DataError(f"{place} has {len(classes)} class, and a data set needs at least 2: {', '.join(classes)}")
    trained = {item.label for item in found if item.split != "test"}
    if absent := [label for label in classes if label not in trained]:
        raise DataError(f"{place} has pictures of the class {absent[0]} only in test: add some to train")
    test = sum(item.split == "test" for item in found) or len(found) // TEST_PART
    if test == 0 or test == len(found):
        raise DataError(f"{place} has {len(found)} pictures: too few for a training and a test split")
    return Source(name, digest.hexdigest()[:16], classes, len(found) - test, test, 0, None, stratified=True)


def make(source: Source, found: list[Item], *, log: Callable[[str], object]) -> Content:
    """Reads and converts every picture.

    Raises:
        DataError: pictures that cannot be used; the sentence names the first ones.
    """
    image, wrong = np.zeros((len(found), *IMAGE_SHAPE), np.uint8), []
    text = f"Converting {len(found):,} pictures (once)"
    for i, item in enumerate(track(found, text=text, total=len(found), log=log)):
        try:
            image[i, :, :, 0] = inputs.to_digit(item.picture)
        except (DataError, OSError) as error:
            wrong.append(str(error) if isinstance(item.picture, Path) else f"{item.name}: {error}")
    if wrong:
        raise DataError(
            f"{len(wrong)} of {len(found)} pictures cannot be used; remove or fix them: {'; '.join(wrong[:SHOWN])}"
            + ("; ..." if len(wrong) > SHOWN else "")
        )
    place = {label: i for i, label in enumerate(source.classes)}
    every = Arrays(image, np.array([place[item.label] for item in found], np.int32))
    is_test = np.array([item.split == "test" for item in found])
    if not is_test.any():
        return Content(*carve(every, source.test_examples, stratified=True))
    return Content(*(Arrays(image[mask], every.label[mask]) for mask in (~is_test, is_test)))


def _in_folders(place: Path) -> Iterator[Item]:
    tops = _folders_in(place)
    groups = [("", tops)]
    if {"train", "test"} <= {path.name for path in tops}:
        if len(tops) > 2:
            others = ", ".join(path.name for path in tops if path.name not in ("train", "test"))
            raise DataError(f"{place} has folders beside train and test: {others}; move them out, or make one split")
        groups = [(top.name, _folders_in(top)) for top in tops]
    empty = True
    for split, folders in groups:
        for folder in folders:
            for path in inputs.pictures_in(folder):
                empty = False
                yield Item(split, folder.name, str(path), path)
    if empty:
        raise DataError(
            f"{place} holds no folder of pictures: put each class into a folder of its own ({', '.join(FORMATS)})"
        )


def _folders_in(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _in_csv(place: Path) -> Iterator[Item]:
    rows = inputs.read_csv(place)
    if len(rows[0]) > 2:
        yield from (Item("", label, name, grey) for name, label, grey in inputs.pixel_rows(place, rows, labelled=True))
        return
    first = 0 if Path(rows[0][0].strip()).suffix.lower() in inputs.SUFFIXES else 1  # skip a header
    for number, row in enumerate(rows[first:], first + 1):
        if len(row) != 2:
            raise DataError(f"{place}, line {number}: {len(row)} fields, expected path,label")
        yield Item("", row[1].strip(), f"{place}, line {number}", place.parent / row[0].strip())
    if len(rows) == first:
        raise DataError(f"{place} names no picture: expected lines of path,label or of label,pixel0,pixel1,...")


def _in_order(label: str) -> tuple[int, int, str]:
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return about.st_size, about.st_mtime_ns
