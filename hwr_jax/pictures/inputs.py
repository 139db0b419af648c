"""What a user names as pictures (files, folders, tables, IDX files, NumPy archives), and that as model input.

The pictures themselves are made by `normalise`, like every picture in the project.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.pictures import decode, documents, normalise, tables, values
from hwr_jax.pictures.tables import SUFFIXES, Reading

SIGNATURES = (  # the first bytes of the formats that `decode` reads, whatever the name of the file
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    *(b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"P4 ", b"P5 ", b"P6 "),
)
PLAIN = Reading()

STANDARD_INPUT = "-"  # as an argument

Picture = Path | np.ndarray  # a file, or grey values uint8 [side, side], 0 = black, 255 = white


class Inputs(NamedTuple):
    """What came of all that a user named."""

    names: list[str]  # of the pictures that could be read
    images: np.ndarray  # uint8 [N, H, W, 1], 0 = paper, 255 = ink
    unread: list[str]  # a sentence for each of the others
    notes: list[str]  # a sentence for each choice that was made, and for what was skipped
    found: list[normalise.Normalised]  # the images with what speaks against each of them
    grey: dict[str, list[int]]  # file of grey values -> the rows of `images` that came from it


def read(paths: Iterable[str], *, height_px: int, width_px: int, lines: bool, reading: Reading = PLAIN) -> Inputs:
    """Reads everything that `paths` name: files, all pictures below a folder, every line of a table, every picture of
    an IDX file or NumPy archive.

    Args:
        paths: in the order in which the pictures are returned.
        height_px, width_px: of the model's images.
        lines: whether the model reads lines of writing, not single characters of 28x28 pixels.
        reading: what the user says of files of grey values.

    What cannot be read is reported in `unread`, and the others are read.

    Raises:
        DataError: nothing but folders without pictures or damaged tables was named.
        ConfigError: nothing but a table whose columns are open to doubt was named.
    """
    names, found, unread = [], [], []
    unlisted: list[Exception] = []
    notes: list[str] = []
    grey: dict[str, list[int]] = {}
    line = (height_px, width_px) if lines else None
    for path in paths:
        try:
            for name, picture in listed([path], reading, notes):
                try:
                    found.append(to_input(picture, line))
                    names.append(name)
                    if isinstance(picture, np.ndarray):
                        grey.setdefault(path, []).append(len(names) - 1)
                except DataError as error:
                    unread.append(str(error) if isinstance(picture, Path) else f"{name}: {error}")
                except OSError as error:
                    unread.append(f"{name}: {error.strerror or error}")
        except (ConfigError, DataError) as error:
            unlisted.append(error)
            unread.append(str(error))
        except OSError as error:
            unread.append(f"{path}: {error.strerror or error}")
    if unlisted and not names and len(unread) == len(unlisted):
        raise unlisted[0] if len(unlisted) == 1 else DataError("; ".join(unread))
    images = np.stack([f.image for f in found])[..., None] if found else np.zeros((0, height_px, width_px, 1), np.uint8)
    return Inputs(names, images, unread, notes, found, grey)


def listed(
    paths: Iterable[str], reading: Reading, notes: list[str], *, pdf: bool = False
) -> Iterator[tuple[str, Picture | bytes]]:
    """Yields the name and the picture for everything that `paths` name, reading no picture file; adds to `notes`.

    A path that is not there, and has * or ? in it, is a pattern. Raises as `read`.

    Args:
        pdf: whether the PDF files in a folder are pictures.
    """
    for argument in itertools.chain(*map(_matching, paths)):
        path = Path(argument)
        if argument == STANDARD_INPUT:
            yield "standard input", _standard_input()
        elif path.is_dir():
            inside, skipped = [], []
            for file in _files_in(path):
                (inside if _is_picture(file) or (pdf and _is_pdf(file)) else skipped).append(file)
            if not inside:
                raise DataError(f"{path} holds no picture{f': {skipped_words(skipped)}' if skipped else ''}")
            if skipped:
                notes.append(f"{path}: {skipped_words(skipped)}")
            yield from ((str(p), p) for p in inside)
        elif is_table(path) or values.is_idx(path) or path.suffix.lower() == ".npz":
            yield from ((name, picture) for name, _, _, picture in examples(path, reading, notes, labelled=False))
        else:
            yield str(path), path


def _matching(argument: str) -> list[str]:
    """The paths that an argument names: itself, or those that match it."""
    if not re.search(r"[*?\[]", argument) or os.path.lexists(argument):
        return [argument]
    found = sorted(glob.glob(argument, recursive=True))
    if not found:
        raise DataError(f"no file matches {argument}")
    return found


def is_table(path: Path) -> bool:
    """Whether a path names a table: a CSV or TSV file, perhaps gzipped."""
    name = path.name.lower()
    return name.removesuffix(".gz").endswith(tables.TABLES) and path.is_file()


def examples(
    path: Path, reading: Reading, notes: list[str], *, labelled: bool
) -> Iterator[tuple[str, str, str, Picture]]:
    """Yields the name, the split, the label and the picture of each example of a table, an IDX file of pictures or a
    NumPy archive.

    Args:
        path: of the file.
        reading: what the user says of it.
        notes: gets a sentence for each choice that was made.
        labelled: whether labels are needed; without, each is "", and there is a note about labels that were ignored.

    Raises:
        DataError: it is damaged, or not what its name says.
        ConfigError: its columns are open to doubt.
    """
    if values.is_idx(path):
        images = values.idx_images(path)
        grey = values.grey(images, values.scale_of(images, str(path), reading, notes), reading)
        yield from ((f"{path}, picture {i}", "", "", picture) for i, picture in enumerate(grey, 1))
    elif path.suffix.lower() == ".npz":
        for stack in values.npz_stacks(path, notes, labelled=labelled):
            grey = values.grey(stack.images, values.scale_of(stack.images, stack.name, reading, notes), reading)
            labels = [""] * len(grey)
            if labelled and stack.labels is not None:
                labels = tables.whole_numbers([str(label) for label in stack.labels.tolist()])
            elif stack.labels is not None:
                notes.append(f"{stack.name}: the labels beside it are ignored")
            for i, (label, one) in enumerate(zip(labels, grey, strict=True), 1):
                yield f"{stack.name}, picture {i}", stack.split, label, one
    else:
        table = tables.read(path, reading, labelled=labelled)
        notes += table.notes
        pictures: Iterable[Picture] = table.paths or _squares(path, table, reading, notes)
        none = [""] * len(table.names)
        yield from zip(table.names, table.splits or none, table.labels or none, pictures, strict=True)


def _squares(path: Path, table: tables.Table, reading: Reading, notes: list[str]) -> Iterator[np.ndarray]:
    """The pictures of a table of pixels, uint8 [side, side] each. Raises DataError, which names the line, for a value
    outside of the scale."""
    pixels = table.pixels or []
    ends = np.array([(row.min(), row.max()) for row in pixels])
    wrong = np.flatnonzero(~((ends[:, 0] >= 0) & (ends[:, 1] <= (reading.pixel_scale or values.BYTE))))
    if wrong.size:  # raises, and names the line
        values.scale_of(ends[wrong[0]], table.names[wrong[0]], reading, notes)
    scale = values.scale_of(ends, str(path), reading, notes)
    for row in pixels:
        side = round(row.size**0.5)
        yield values.grey(row.reshape(1, side, side), scale, reading)[0]


def _standard_input() -> bytes:
    """The bytes piped in, at most one more than a picture may have. Raises DataError if there are none."""
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("standard input is closed: pipe a picture into it, or name a file")
    if sys.stdin.isatty():
        raise DataError("standard input is a terminal: pipe a picture into it, or name a file")
    content = sys.stdin.buffer.read(decode.MAX_BYTES + 1)
    if not content:
        raise DataError("standard input is empty: pipe one picture into it, and name - once")
    return content


def to_input(picture: Picture | bytes, line: tuple[int, int] | None) -> normalise.Normalised:
    """Turns a picture into model input: of a line of writing [height, width] pixels, or of one character of 28x28.

    Grey values of 28x28 with a black frame count as a character's model input already, as in the CSV files of MNIST.

    Raises:
        DataError, OSError: see `normalise.normalised`.
    """
    if isinstance(picture, np.ndarray) and line is None and picture.shape == (normalise.SIZE_PX, normalise.SIZE_PX):
        frame = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        if np.median(frame) == 0:
            return normalise.Normalised(picture)
    return normalise.normalised(picture, line=line)


def to_line(picture: Picture, height_px: int, width_px: int) -> np.ndarray:
    """Returns the image of `to_input` of a line: uint8 [height_px, width_px]. Raises as it does."""
    return to_input(picture, (height_px, width_px)).image


def pictures_in(folder: Path) -> list[Path]:
    """Returns the picture files anywhere below a folder, sorted, without hidden ones: those with the suffix of a
    picture, and those that begin as a picture does."""
    return [path for path in _files_in(folder) if _is_picture(path)]


def pictures_in_here(files: Iterable[Path]) -> list[Path]:
    """Returns the files that are pictures, without hidden ones."""
    return [path for path in files if path.is_file() and not path.name.startswith(".") and _is_picture(path)]


def others_in(folder: Path) -> list[Path]:
    """Returns the other files anywhere below a folder, sorted, without hidden ones."""
    return [path for path in _files_in(folder) if not _is_picture(path)]


def skipped_words(files: list[Path], shown: int = 3) -> str:
    """Returns how many files are not pictures, with the names of the first ones."""
    names = ", ".join(path.name for path in files[:shown]) + (", ..." if len(files) > shown else "")
    heic = any(path.suffix.lower() in (".heic", ".heif") for path in files) and not decode.reads_heic()
    more = "; install pi-heif for HEIC photographs, or save them as JPEG" if heic else ""
    return (
        f"skipped {len(files)} {'file that is not a picture' if len(files) == 1 else 'files that are not pictures'} "
        + (f"that can be read ({names}){more}")
    )


def _files_in(folder: Path) -> list[Path]:
    """All files below a folder, and the links to a folder, which are not followed, or to nothing: they are reported."""
    files = (p for p in folder.rglob("*") if p.is_file() or p.is_symlink())
    return sorted(p for p in files if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError:
        return False
    webp, avif = start[:4] == b"RIFF" and start[8:12] == b"WEBP", start[4:12] in (b"ftypavif", b"ftypavis")
    heic = decode.is_heic(start) and decode.reads_heic()
    bmp = start[:2] == b"BM" and start[6:10] == bytes(4)
    return start.startswith(SIGNATURES) or webp or avif or bmp or heic


def _is_pdf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return documents.is_pdf(file.read(documents.WITHIN))
    except OSError:
        return False
