"""Separated values as text: encoding, separator, and the cells of each line. Knows nothing of pictures."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hwr_jax.core import idx
from hwr_jax.core.errors import DataError

SAMPLE = 50  # lines that the look of a file is judged by
MAX_BYTES = 4 * 2**30
SEPARATORS = ("\t", ";", ",", "|", " ")


def lines(place: Path, *, exact: bool = False) -> list[tuple[int, list[str]]]:
    """Returns the non-empty lines with their numbers, split at the separator that fits.

    Args:
      place: the file.
      exact: leave each cell as it is written; else whitespace around it is removed, and a decimal comma is a point.

    Raises:
      DataError: it is not a table. With `exact`, quotes that do not close a cell are an error too.
      OSError: it cannot be read.
    """
    raw = idx.load(place, MAX_BYTES)
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DataError(f"{place} is not a CSV file but a workbook or archive: save it as CSV")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place} is not text in UTF-8 (byte {error.start + 1}): expected a CSV file in UTF-8, an IDX file, an "
            ".npz archive, or a folder of pictures"
        ) from error
    first, _, rest = text.partition("\n")
    if found := re.fullmatch(r"sep=(.)\s*", first):  # as Excel writes and reads it
        separator, text = found[1], "\n" + rest
    else:
        separator = _separator(text)
    try:
        if separator == " ":
            rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        else:
            rows = _rows(place, text, separator, exact=exact)
    except csv.Error as error:
        raise DataError(f"{place} is not a CSV file: {error}") from error
    if not rows:
        raise DataError(f"{place} is empty")
    if rows[0][1][0].startswith("#") and not exact:  # as numpy.savetxt marks a header
        rows[0][1][0] = rows[0][1][0].lstrip("# ")
    while len(rows[0][1]) > 1 and all(row[-1] == "" and len(row) == len(rows[0][1]) for _, row in rows):
        rows = [(number, row[:-1]) for number, row in rows]  # every line ends with a separator
    if separator in (";", "\t") and not exact:  # where these separate, a comma can stand for the decimal point
        rows = [(number, [_with_point(cell) for cell in row]) for number, row in rows]
    return rows


def _rows(place: Path, text: str, separator: str, *, exact: bool) -> list[tuple[int, list[str]]]:
    """The lines that hold something, with their numbers. Raises csv.Error; with `exact` DataError, for the quotes."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=exact)
    if not exact:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    try:
        return [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(
            f"{place}, line {reader.line_num}: a cell that begins with a quotation mark has to end with one ({error}); "
            "put such a cell into quotation marks, and double those inside it"
        ) from error


def _with_point(cell: str) -> str:
    return cell.replace(",", ".") if "," in cell and re.fullmatch(r"[+-]?\d*,\d+", cell) else cell


def _separator(text: str) -> str:
    """The first separator that splits the first lines into the same number of fields, more than one. Where a semicolon
    or a tab fits, a comma that fits too is a decimal one (3;0,5;0,25)."""
    head = [line for line in text[: 1 << 22].splitlines()[: 2 * SAMPLE] if line.strip()][:SAMPLE]
    if any(re.search(r"[^\d\s.eE+-]", line) for line in head):
        allowed = SEPARATORS[:-1]  # a space separates numbers only
    else:
        allowed = SEPARATORS
    counts = {separator: [len(fields) for fields in _split(head, separator)] for separator in allowed}
    even = [separator for separator in allowed if len(set(counts[separator])) == 1 and counts[separator][0] > 1]
    return (even or sorted(SEPARATORS[:3], key=lambda separator: -max(counts[separator], default=0)))[0]


def _split(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    if separator == " ":
        return (line.split() for line in lines)
    try:
        return iter([*csv.reader(lines, delimiter=separator)])
    except csv.Error:
        return iter([])


def number_in(cell: str) -> float | None:
    """Returns the number in a cell; None for a word, an empty cell, and for what is not finite."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
