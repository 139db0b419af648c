"""Batches that are read from disk while earlier ones are trained on. Owns the read-ahead (grain), not the order.

The epoch's order decides which examples make a batch, as in memory, so a resume needs only the step.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays

THREADS = 4
AHEAD = 4  # dispatches


@dataclass(frozen=True)
class Dispatches:
    """The remaining dispatches of an epoch: a random-access source, as grain calls it."""

    train: Arrays  # image [N, H, W, 1], perhaps on the disk; label [N] (or [N, L])
    order: np.ndarray  # int32 [S, steps, B]
    first: int  # the step of the epoch to start at
    window: int  # W, steps of a dispatch
    columns: slice  # of the B examples of a batch, those that this process reads

    def __len__(self) -> int:
        """How many dispatches of the epoch are left."""
        return -(-(self.order.shape[1] - self.first) // self.window)

    def __getitem__(self, record_key: SupportsIndex) -> Arrays:
        """Reads the batches of a dispatch: uint8 [S, W, b, H, W, 1] and int32 [S, W, b]; that of step i lies
        in slot i modulo W, and the slots after the last step are empty."""
        start = self.first + operator.index(record_key) * self.window
        rows = self.order[:, start : start + self.window, self.columns]
        slots = np.arange(start, start + rows.shape[1]) % self.window

        def batches(array):
            whole = np.zeros((rows.shape[0], self.window, rows.shape[2], *array.shape[1:]), array.dtype)
            whole[:, slots] = array[rows.reshape(-1)].reshape(*rows.shape, *array.shape[1:])
            return whole

        return Arrays(batches(self.train.image), batches(self.train.label))


def read(dispatches: Dispatches) -> Iterator[Arrays]:
    """Yields the batches of each dispatch; threads read some of them ahead.

    Raises:
      ConfigError: grain is not installed.
    """
    try:
        import grain
    except ImportError as error:
        raise ConfigError("config.data.stream=True needs grain: pip install grain") from error
    ahead = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    source: Any = dispatches  # grain's own protocol is narrower than what grain accepts
    return iter(grain.MapDataset.source(source).to_iter_dataset(ahead))
