"""Some rows of an array that is larger than memory: selected now, read on access."""

from __future__ import annotations

from typing import Any

import numpy as np


class Rows:
    """Looks like an array [N, ...], but holds only the numbers of its rows.

    `rows[...]` reads (a slice, a number or an array of numbers); `select` chooses again without reading.
    """

    def __init__(self, source: Any, rows: np.ndarray):
        """`source`: has `shape`, `dtype` and `source[int array]`; `rows`: int [N]."""
        self._source, self._rows = source, rows
        self.shape = (len(rows), *source.shape[1:])
        self.dtype = source.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self._source[self._rows[index]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise MemoryError("this data set is streamed from disk and must not be loaded into memory")

    def select(self, index: np.ndarray) -> Rows:
        """Returns the rows of these rows, bool or int [N], unread."""
        return Rows(self._source, self._rows[index])


def select(array: Any, index: np.ndarray) -> Any:
    """Returns array[index]; `Rows` are selected, not read."""
    return array.select(index) if isinstance(array, Rows) else array[index]
