"""Tables of pictures as text: which separator, which line is a header, and what each column holds.

A table names a picture file per line, or holds the grey values of one. Every choice that is made from the look of the
file ends in a note for the user. The values themselves are scaled by `values`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.pictures import separated
from hwr_jax.pictures.separated import SAMPLE, number_in
from hwr_jax.pictures.splits import are_splits, split_of

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif"),
)
TABLES = (".csv", ".tsv")
LABELS = (
    *("label", "labels", "class", "classes", "class_label", "class_name", "target", "y", "digit", "character", "char"),
    *("letter", "symbol", "category", "ground_truth", "truth", "gt"),
)
TEXTS = (
    *("text", "texts", "transcription", "transcript", "label", "labels", "string", "value", "target"),
    *("ground_truth", "truth", "gt", "sentence", "words", "line_text"),
)
INDEX = ("", "unnamed:_0", "index", "idx", "id", "row", "row_id", "no")
SPLITS = ("split", "subset", "set", "partition", "usage", "fold")
MANY = 16  # a column family of at least this many numbers is a picture's pixels


class Unlabelled(DataError):
    """A table has pictures, but no labels."""


class Reading(NamedTuple):
    """How files of grey values and tables are read, as far as the user says so."""

    label_column: str = ""  # its name, or first, last; "": found by its name or content
    pixel_scale: float = 0.0  # the value of white or of full ink; 0: found from all values of a file
    orientation: str = "upright"  # or transposed: rows and columns are swapped, as in EMNIST's files
    texts: bool = False  # the labels are texts, which are kept as they are written: what the network reads decides


class Table(NamedTuple):
    """What a table holds, a row per picture."""

    names: list[str]  # for messages: FILE, line N
    labels: list[str] | None  # None: it has no label column
    splits: list[str] | None  # None: it has no column of splits
    paths: list[Path] | None  # of picture files; None: it holds pixels
    pixels: list[np.ndarray] | None  # float32 [side * side] each, not scaled
    notes: list[str]  # a sentence for each choice


def read(place: Path, reading: Reading, *, labelled: bool) -> Table:
    """Reads a table of picture files or of grey values.

    Args:
      place: a file.
      reading: what the user says of it.
      labelled: whether labels are needed; without, a label column is ignored, with a note.

    Raises:
      DataError: it is not a table of pictures, or a line does not fit; the sentence names the line.
      ConfigError: the columns leave it open which one is the label.
      OSError: it cannot be read.
    """
    written = separated.lines(place, exact=reading.texts)
    lines = [(number, [cell.strip() for cell in row]) for number, row in written] if reading.texts else written
    widths = {len(row) for _, row in lines}
    if len(widths) > 1 and min(widths) >= MANY and all(number_in(cell) is not None for cell in lines[0][1][1:-1]):
        return _of_several_sizes(place, lines, reading, labelled=labelled)
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise DataError(f"{place}, line {number}: {len(row)} fields, expected {width} as in line {lines[0][0]}")
    folder = place.parent
    sample = [row for _, row in lines[: SAMPLE + 1]]
    file_column = _column_of_files(sample, folder)
    header = _header(sample, folder)
    body = lines[1:] if header else lines
    if not body:
        raise DataError(f"{place} names no picture: it has a header, and no line after it")
    names = [f"{place}, line {number}" for number, _ in body]
    rows = [row for _, row in body]
    if file_column is not None:
        as_written = [row for _, row in written[-len(rows) :]]
        return _files(place, header, rows, as_written, names, file_column, reading, labelled=labelled)
    if reading.texts:
        raise DataError(f"{place} names no picture files: expected a line of path,text for each picture")
    return _pixels(place, header, rows, names, reading, labelled=labelled)


def _of_several_sizes(place: Path, lines: list[tuple[int, list[str]]], reading: Reading, *, labelled: bool) -> Table:
    """A table of pixels without a header, of which each line is a picture of its own size."""
    made, notes = {}, {}
    for width in dict.fromkeys(len(row) for _, row in lines):
        these = [(number, row) for number, row in lines if len(row) == width]
        names = [f"{place}, line {number}" for number, _ in these]
        part = _pixels(place, None, [row for _, row in these], names, reading, labelled=labelled)
        notes |= dict.fromkeys(part.notes)
        for (number, _), pixels, label in zip(these, part.pixels or [], part.labels or names, strict=True):
            made[number] = pixels, label
    found = [made[number] for number, _ in lines]
    labels = [label for _, label in found] if labelled else None
    names = [f"{place}, line {number}" for number, _ in lines]
    return Table(names, labels, None, None, [pixels for pixels, _ in found], [*notes])


def _looks_like_a_file(cell: str, folder: Path) -> bool:
    if not cell or len(cell) > 1024 or "\0" in cell or number_in(cell) is not None:
        return False
    return Path(cell).suffix.lower() in SUFFIXES or located(folder, cell).is_file()


def located(folder: Path, name: str) -> Path:
    """Returns the path that a table names, relative to the table's folder; on POSIX also with backslashes."""
    path = folder / name
    return path if "\\" not in name or path.exists() else folder / name.replace("\\", "/")


def _folder_of(folder: Path, files: Sequence[str]) -> Path:
    """The folder of the files that a table names: its own or, if none is there, the only one within that has them."""
    if any(located(folder, name).exists() for name in files):
        return folder
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    found = [path for path in inside if all(located(path, name).is_file() for name in files)]
    return found[0] if len(found) == 1 else folder


def _column_of_files(sample: Sequence[Sequence[str]], folder: Path) -> int | None:
    """The first column of which most cells name a picture file."""
    rows = sample[1:] or sample
    if len(rows[0]) >= MANY and all(number_in(cell) is not None for cell in rows[0][-MANY:]):
        return None
    for column in range(len(rows[0])):
        if 2 * sum(_looks_like_a_file(row[column], folder) for row in rows) > len(rows):
            return column
    return None


def _header(sample: Sequence[Sequence[str]], folder: Path) -> list[str] | None:
    """The first line, if it is a header: it holds no number, except 0, 1, 2, ... as names, and no picture file."""
    first = sample[0]
    if any(_looks_like_a_file(cell, folder) for cell in first):
        return None
    numbers = [value for cell in first if (value := number_in(cell)) is not None]
    counted = len(numbers) > 2 and numbers in (
        [float(i) for i in range(len(numbers))],
        [float(i) for i in range(1, len(numbers) + 1)],
    )
    if numbers and not counted:
        return None
    return list(first)


def _files(
    place: Path, header: list[str] | None, rows: list[list[str]], written: list[list[str]], names: list[str],
    column: int, reading: Reading, *, labelled: bool,
) -> Table:  # fmt: skip
    notes: list[str] = []
    empty = [name for name, row in zip(names, rows, strict=True) if not row[column]]
    if empty:
        raise DataError(f"{empty[0]}: no picture is named")
    others = [i for i in range(len(rows[0])) if i != column]
    label, split, dropped = _roles(place, header, rows, others, reading, labelled=labelled)
    folder = _folder_of(place.parent, [row[column] for row in rows[:SAMPLE]])
    if folder != place.parent:
        notes.append(f"{place}: the files are those in {folder.name}/")
    paths = [located(folder, row[column]) for row in rows]
    notes += _notes(place, header, label, split, dropped, labelled=labelled, what=_what(reading))
    if reading.texts and label is not None:
        labels = [row[label] for row in written]
    else:
        labels = _labels(rows, names, label, labelled)
    return Table(names, labels, _cells(rows, split), paths, None, notes)


def _what(reading: Reading) -> str:
    return "text" if reading.texts else "label"


def _pixels(
    place: Path, header: list[str] | None, rows: list[list[str]], names: list[str], reading: Reading, *, labelled: bool
) -> Table:
    notes: list[str] = []
    if len(rows[0]) < MANY:
        raise DataError(
            f"{place} is not a table of pictures: none of its {len(rows[0])} columns names picture files, and pixels "
            f"take {MANY} columns or more; expected lines of path,label or of label,pixel0,pixel1,..."
        )
    if header:
        pixels, others = _families(header, rows)
        if _square(len(pixels) - 1) and not _square(len(pixels)):  # 0, 1, 2, ... also names the label
            found = pixels.index(_first_or_last(place, rows, pixels))
            others, pixels = [*others, pixels[found]], pixels[:found] + pixels[found + 1 :]
            if labelled and not reading.label_column:
                reading = reading._replace(label_column=header[others[-1]])
        if [*pixels] != sorted(pixels):
            notes.append(f"{place}: the pixels are taken in the order of the numbers in the columns' names")
        label, split, dropped = _roles(place, header, rows, others, reading, labelled=labelled)
    else:
        label, pixels, dropped = _places(place, rows, names, reading, labelled=labelled)
        split = None
    if len(pixels) == 0 or math.isqrt(len(pixels)) ** 2 != len(pixels) or len(pixels) < MANY:
        raise DataError(f"{names[0]}: {len(pixels)} pixels are not a square picture of at least 4x4")
    if labelled and label is None:
        raise Unlabelled(f"{place} has no label: its {len(pixels)} columns are pixels, so add a column named label")
    notes += _notes(place, header, label, split, dropped, labelled=labelled)
    values = [_grey(row, pixels, name) for row, name in zip(rows, names, strict=True)]
    return Table(names, _labels(rows, names, label, labelled), _cells(rows, split), None, values, notes)


def _grey(row: list[str], pixels: Sequence[int], name: str) -> np.ndarray:
    """The pixels of a line, float32. Raises DataError for one that is not a number."""
    cells = [row[i] for i in pixels]
    try:
        return np.array(cells, np.float32)
    except ValueError:
        wrong = next(cell for cell in cells if number_in(cell) is None)
        raise DataError(f"{name}: {wrong!r} is not a pixel: expected a number") from None


def _families(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[int], list[int]]:
    """The columns of the pixels, in the order of the numbers in their names (pixel0; 1x1), and the rest."""
    families: dict[str, list[tuple[tuple[int, int], int]]] = {}
    for column, name in enumerate(header):
        if found := re.fullmatch(r"(.*?)[ _.\-]*?(\d+)(?:[x_,](\d+))?", name.lower()):
            place = (int(found[2]), -1) if found[3] is None else (int(found[2]), int(found[3]))
            families.setdefault(found[1], []).append((place, column))
    largest = max(families.values(), key=len, default=[])
    if len(largest) < MANY or len({place for place, _ in largest}) < len(largest):
        numeric = [i for i in range(len(header)) if all(number_in(row[i]) is not None for row in rows[:SAMPLE])]
        largest = [((i, -1), i) for i in numeric if _key(header[i]) not in (*LABELS, *INDEX, *SPLITS)]
    pixels = [column for _, column in sorted(largest)]
    return pixels, [i for i in range(len(header)) if i not in set(pixels)]


def _key(name: str) -> str:
    return re.sub(r"[ \-.]+", "_", name.strip().lower())


def _roles(
    place: Path, header: list[str] | None, rows: list[list[str]], others: list[int], reading: Reading, *, labelled: bool
) -> tuple[int | None, int | None, list[int]]:
    """Which of the columns `others` is the label, and which the split; and the rest."""
    keys = {i: _key(header[i]) for i in others} if header else {}
    possible = [i for i in others if keys.get(i) in SPLITS] if labelled else []
    split = next((i for i in possible if are_splits({r[i] for r in rows}, where=f"{place}, column {keys[i]}")), None)
    index = {i for i in others if _counts_rows([row[i] for row in rows]) and (not header or keys[i] in INDEX)}
    left = [i for i in others if i != split and (i not in index or len(others) == 1)]
    label = None
    if reading.label_column:
        label = _named(place, header, left, reading.label_column) if labelled else None
    if label is None and labelled:
        known = TEXTS if reading.texts else LABELS
        named = [i for i in left if keys.get(i) in known] or left
        if not reading.texts:
            named = [i for i in named if keys.get(i) == LABELS[0]] or named
        if len(named) > 1:
            shown = ", ".join(header[i] for i in named) if header else f"{len(named)} columns"
            raise ConfigError(
                f"{place} has {shown} beside the pictures, and each could be the {_what(reading)}: choose one by "
                f"config.data.label_column or --label_column ({'its name, ' if header else ''}first or last)"
            )
        if not named:
            raise Unlabelled(f"{place} has no column for the {_what(reading)}: add one that is named {_what(reading)}")
        label = named[0]
    return label, split, [i for i in others if i not in (label, split)]


def _named(place: Path, header: list[str] | None, left: list[int], wanted: str) -> int:
    """The column that the user calls the label: by its name, or first, last among those that do not count rows."""
    for same in (lambda name: name == wanted, lambda name: name.lower() == wanted.lower()):
        found = [i for i, name in enumerate(header or []) if same(name)]
        if len(found) == 1:
            return found[0]
    if wanted in ("first", "last") and left:
        return left[0] if wanted == "first" else left[-1]
    known = ", ".join(repr(name) for name in [header[i] for i in left][:MANY]) if header else "no names"
    raise ConfigError(f"config.data.label_column={wanted} is not in {place}: it has {known}; or use first or last")


def _places(
    place: Path, rows: list[list[str]], names: list[str], reading: Reading, *, labelled: bool
) -> tuple[int | None, list[int], list[int]]:
    """(label, pixels, dropped) of a table without a header, from the number of columns and what is in them."""
    columns = list(range(len(rows[0])))
    dropped: list[int] = []
    fits = _square(len(columns)) or _square(len(columns) - 1)
    if not fits and _square(len(columns) - 2) and len(rows) > 1 and _counts_rows([row[0] for row in rows]):
        dropped, columns = [0], columns[1:]
    if _square(len(columns)):
        if labelled and reading.label_column:
            raise ConfigError(f"config.data.label_column={reading.label_column}: {place} has nothing but pixels")
        return None, columns, dropped
    if not _square(len(columns) - 1):
        raise DataError(f"{names[0]}: {len(columns) - bool(labelled)} pixels are not a square picture")
    if reading.label_column:
        label = _named(place, None, columns, reading.label_column)
    else:
        label = _first_or_last(place, rows, columns)
    return label, [i for i in columns if i != label], dropped


def _first_or_last(place: Path, rows: list[list[str]], columns: list[int]) -> int:
    """Returns which end of the lines is the label: the one that is not a number, or unlike the pixel beside it."""
    first, last = columns[0], columns[-1]
    for end in (first, last):
        if any(number_in(row[end]) is None for row in rows):
            return end
    looks = {}
    for end, beside in ((first, columns[1]), (last, columns[-2])):
        values = [(float(row[end]), number_in(row[beside])) for row in rows]
        if any(value % 1 for value, _ in values):
            looks[end] = 0
        elif len({value for value, _ in values}) == 1:
            looks[end] = 0 if all(value == near for value, near in values) else 1
        else:
            looks[end] = 2
    if looks[first] == looks[last] == 2:
        raise ConfigError(
            f"{place} has no header, and its first or its last column could be the label: say which by "
            "config.data.label_column or --label_column (first or last), or give the columns names"
        )
    return last if looks[last] > looks[first] else first


def _square(count: int) -> bool:
    return count >= MANY and math.isqrt(count) ** 2 == count


def _counts_rows(cells: Sequence[str]) -> bool:
    """Whether a column counts the rows, as the index that pandas writes: 0, 1, 2, ... or 1, 2, 3, ..."""
    numbers = [number_in(cell) for cell in cells]
    return numbers in ([float(i) for i in range(len(cells))], [float(i + 1) for i in range(len(cells))])


def _cells(rows: list[list[str]], column: int | None) -> list[str] | None:
    return None if column is None else [split_of(row[column]) for row in rows]


def _labels(rows: list[list[str]], names: list[str], column: int | None, labelled: bool) -> list[str] | None:
    """The label of each row; numbers that are whole lose their decimals (7.0 is 7)."""
    if column is None or not labelled:
        return None
    cells = [row[column] for row in rows]
    if empty := [name for name, cell in zip(names, cells, strict=True) if not cell]:
        raise DataError(f"{empty[0]}: the label is missing")
    return whole_numbers(cells)


def whole_numbers(cells: list[str]) -> list[str]:
    """Returns the cells; if all are numbers with a decimal point or exponent and whole, as integers (7.0 is 7)."""
    numbers = [number_in(cell) for cell in cells]
    if any(value is None or value % 1 for value in numbers) or all(cell.isdecimal() for cell in cells):
        return cells
    return [str(int(value)) for value in numbers if value is not None]


def _notes(
    place: Path, header: list[str] | None, label: int | None, split: int | None, dropped: list[int], *, labelled: bool,
    what: str = "label",
) -> Iterator[str]:  # fmt: skip
    def title(column: int) -> str:
        return repr(header[column]) if header and header[column] else f"{column + 1} (without a name)"

    if label is not None and labelled and (not header or _key(header[label]) != what):
        yield f"{place}: the {what} is column {title(label)}"
    if label is not None and not labelled:
        dropped = [*dropped, label]
    if split is not None:
        yield f"{place}: column {title(split)} says which split a picture belongs to"
    if dropped:
        yield f"{place}: ignored {'columns' if len(dropped) > 1 else 'column'} {', '.join(map(title, sorted(dropped)))}"
