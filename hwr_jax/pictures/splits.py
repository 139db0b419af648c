"""The words that name a split, wherever a user writes them: in a table, or in the name of a folder, file or array."""

from __future__ import annotations

from collections.abc import Set

from hwr_jax.core.errors import DataError

WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}


def split_of(word: str) -> str:
    """Returns train, validation or test for a word that names a split, in any case; else ""."""
    return WORDS.get(word.strip().lower(), "")


def are_splits(cells: Set[str], *, where: str) -> bool:
    """Whether each of the cells of a column names a split.

    Args:
        cells: all that occur.
        where: the file and the column, for the message.

    Raises:
        DataError: only some of them do.
    """
    wrong = sorted(cell for cell in cells if not split_of(cell))
    if 0 < len(wrong) < len(cells):
        raise DataError(
            f"{where}: {wrong[0]!r} is no split: write train, val or test in each line, or give the column another name"
        )
    return not wrong
