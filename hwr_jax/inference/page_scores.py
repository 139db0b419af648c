"""How well pages are read: error rate of the characters, lines and pages that are wholly right, time of a page."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.inference import scan
from hwr_jax.inference.reader import Reader

TRUTH = "ground_truth.json"  # in the folder of the pages
NOT_SAID = "not said"  # the medium of a page whose truth names none


class Written(NamedTuple):
    """A page, and what is written on it."""

    file: str  # as the truth names it
    lines: list[str]  # from top to bottom, without spaces; none: a blank page
    medium: str  # "paper photo", ...


def read_truth(folder: Path) -> list[Written]:
    """Reads ground_truth.json of a folder: a list of objects with `file`, `lines` (or `label`: one character), and
    possibly `medium`.

    Raises:
      DataError: it is missing, damaged or empty, names a file twice or outside of the folder, or says what no reading
        can say.
    """
    path = folder / TRUTH
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} has no {TRUTH}: a list of objects with file, lines and medium") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path} is not a list of pages, or it is empty")
    pages = [_written(row, f"{path}, page {number},") for number, row in enumerate(rows, 1)]
    twice = [name for name, count in Counter(page.file for page in pages).items() if count > 1]
    if twice:
        raise DataError(f"{path} names {twice[0]} twice")
    return pages


def _written(row: Any, where: str) -> Written:
    if not isinstance(row, dict) or not _is_name(row.get("file")):
        raise DataError(f"{where} has no `file`, the name of a picture")
    if Path(row["file"]).is_absolute() or ".." in Path(row["file"]).parts:
        raise DataError(f"{where} names {row['file']}, which is outside of the folder")
    label, lines = row.get("label"), row.get("lines")
    if lines is None and type(label) in (str, int):
        lines = [str(label)]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise DataError(f"{where} has no `lines`, a list of texts, and no `label`")
    if any(not line or any(c.isspace() for c in line) for line in lines):
        raise DataError(f"{where} has a line that is empty or has a space, which no reading has: leave them out")
    medium = row.get("medium", NOT_SAID)
    if not isinstance(medium, str):
        raise DataError(f"{where} has a `medium` that is not text")
    return Written(row["file"], lines, medium or NOT_SAID)


def _is_name(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(value) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


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
            "cer": self.edits / max(1, self.characters),
            "exact_lines": self.lines_right / max(1, self.lines),
            "exact_pages": self.pages_right / self.pages,
        }


def score(model: Reader, folder: Path, *, log: Callable[[str], object]) -> dict[str, Any]:
    """Reads every page of a folder and compares it with its truth: `score_reader` of `scan.scan`.

    Returns:
      what `score_reader` returns, and `skipped`, the marks that were not read: reason -> number.
    """
    skipped: Counter[str] = Counter()

    def read(path: Path) -> list[str]:
        found = scan.scan(model, path)
        skipped.update(found.skipped)
        return [line.text for line in found.lines]

    return score_reader(read, folder, log=log) | {"skipped": dict(skipped)}


def score_reader(read: Callable[[Path], list[str]], folder: Path, *, log: Callable[[str], object]) -> dict[str, Any]:
    """Compares what a reader makes of every page of a folder with its truth.

    Args:
      read: path of a picture -> its lines; may raise DataError or OSError.
      folder: see `read_truth`.
      log: called with a sentence for each page that cannot be read.

    Returns:
      `cer` (Levenshtein edits of all lines joined, over the characters), `exact_lines` (share of the true lines that
      are among those read), `exact_pages`, `pages`, `lines`, `characters`, `ms` (median of a page); the same under
      `by_medium`; `wrong`, a list of `image`, `truth`, `read`; `unread`, the pages that cannot be read, which count as
      read empty.

    Raises:
      DataError: see `read_truth`.
    """
    total, by_medium, wrong, ms = _Count(), {}, [], []
    unread = []
    for page in read_truth(folder):
        lines: list[str] = []
        start = time.perf_counter()
        try:
            lines = read(folder / page.file)
        except (DataError, OSError) as error:
            unread.append(page.file)
            log(f"{folder / page.file}: {error.strerror or error}" if isinstance(error, OSError) else str(error))
        else:
            ms.append(1000 * (time.perf_counter() - start))
        one = _compare(page.lines, lines)
        total = total.plus(one)
        by_medium[page.medium] = by_medium.get(page.medium, _Count()).plus(one)
        if not one.pages_right:
            wrong.append({"image": page.file, "truth": page.lines, "read": lines})
    media = {name: count.scores() for name, count in sorted(by_medium.items())}
    more = {"by_medium": media, "wrong": wrong, "unread": unread}
    return {**total.scores(), "ms": float(np.median(ms)) if ms else None, **more}


def _compare(truth: list[str], read: list[str]) -> _Count:
    both = (Counter(truth) & Counter(read)).total()
    edits = edit_distance("".join(read), "".join(truth))
    return _Count(1, sum(map(len, truth)), edits, len(truth), both, int(truth == read))


def edit_distance(read: str, truth: str) -> int:
    """Counts insertions, deletions and replacements from one text to another (Levenshtein 1966).

    `metrics.edit_distance` does it for thousands of short strings at once; for one long text it takes seconds.
    """
    costs = list(range(len(truth) + 1))
    for i, mine in enumerate(read, 1):
        before, costs[0] = costs[0], i
        for j, other in enumerate(truth, 1):
            before, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, before + (mine != other))
    return costs[-1]
