"""How well pages are read: error rate of the characters, lines and pages that are wholly right, time of a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.inference import scan
from hwr_jax.inference.predictor import Predictor
from hwr_jax.tasks import metrics

TRUTH = "ground_truth.json"  # in the folder of the pages


class Written(NamedTuple):
    """A page, and what is written on it."""

    path: Path
    lines: list[str]  # from top to bottom
    medium: str  # "paper photo", ...; "": not said


def read_truth(folder: Path) -> list[Written]:
    """Reads ground_truth.json of a folder: a list of objects with `file`, `lines` (or `label`: one character), and
    possibly `medium`.

    Raises:
      DataError: it is missing, damaged or empty, or names a file outside of the folder.
    """
    path = folder / TRUTH
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} has no {TRUTH}: a list of objects with file, lines and medium") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path} is not a list of pages, or it is empty")
    return [_written(folder, row, f"{path}, page {number},") for number, row in enumerate(rows, 1)]


def _written(folder: Path, row: Any, where: str) -> Written:
    if not isinstance(row, dict) or not isinstance(row.get("file"), str):
        raise DataError(f"{where} has no `file`")
    lines = row.get("lines", [str(row["label"])] if "label" in row else None)
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines) or not any(lines):
        raise DataError(f"{where} has no `lines`, a list of texts, and no `label`")
    file = Path(row["file"])
    if file.is_absolute() or ".." in file.parts:
        raise DataError(f"{where} names {file}, which is outside of the folder")
    return Written(folder / file, lines, str(row.get("medium", "")))


class _Count(NamedTuple):
    """Sums over pages."""

    pages: int = 0
    characters: int = 0
    edits: int = 0
    lines: int = 0
    lines_right: int = 0
    pages_right: int = 0

    def plus(self, other: _Count) -> _Count:
        return _Count(*(a + b for a, b in zip(self, other, strict=True)))

    def scores(self) -> dict[str, float | int]:
        return {
            "pages": self.pages,
            "lines": self.lines,
            "characters": self.characters,
            "cer": self.edits / self.characters,
            "exact_lines": self.lines_right / self.lines,
            "exact_pages": self.pages_right / self.pages,
        }


def score(model: Predictor, folder: Path, *, log: Callable[[str], object]) -> dict[str, Any]:
    """Reads every page of a folder and compares it with its truth.

    Args:
      model: of single characters.
      folder: see `read_truth`.
      log: called with a sentence for each page that cannot be read; such a page counts as read empty.

    Returns:
      `cer` (Levenshtein edits of all lines joined, over the characters), `exact_lines` (share of the true lines that
      are among those read), `exact_pages`, `pages`, `lines`, `characters`, `ms` (median of a page); the same under
      `by_medium`; and `wrong`, a list of `image`, `truth`, `read`.

    Raises:
      DataError: see `read_truth`.
    """
    total, by_medium, wrong, ms = _Count(), {}, [], []
    for page in read_truth(folder):
        try:
            found = scan.scan(model, page.path)
            read = [line.text for line in found.lines]
            ms.append(found.ms)
        except (DataError, OSError) as error:
            log(str(error))
            read = []
        one = _compare(page.lines, read)
        total = total.plus(one)
        by_medium[page.medium] = by_medium.get(page.medium, _Count()).plus(one)
        if not one.pages_right:
            wrong.append({"image": page.path.name, "truth": page.lines, "read": read})
    media = {name or "not said": count.scores() for name, count in sorted(by_medium.items())}
    return {**total.scores(), "ms": float(np.median(ms)) if ms else None, "by_medium": media, "wrong": wrong}


def _compare(truth: list[str], read: list[str]) -> _Count:
    both = (Counter(truth) & Counter(read)).total()
    edits = edit_distance("".join(read), "".join(truth))
    return _Count(1, sum(map(len, truth)), edits, len(truth), both, int(truth == read))


def edit_distance(read: str, truth: str) -> int:
    """Counts insertions, deletions and replacements from one text to another (see `metrics.edit_distance`)."""
    one, other = (np.array([[ord(c) for c in text]], int).reshape(1, -1) for text in (read, truth))
    return int(metrics.edit_distance(one, other)[0])
