"""Balanced sampling: the order of an epoch in which every class is equally likely, however rare it is."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from hwr_jax.core.types import Array


class ByClass(NamedTuple):
    """The rows of a training set, grouped by class; the shapes depend on N and K alone."""

    rows: Array  # int32 [N], those of a class side by side
    first: Array  # int32 [K], where a class begins in `rows`; the classes that have rows come first
    count: Array  # int32 [K], rows of that class
    present: Array  # int32 [], number of classes that have rows


def group(label: np.ndarray, classes: int) -> ByClass:
    """Groups the rows of a training set.

    Args:
      label: int [N], 0 <= label < K.
      classes: K.
    """
    count = np.bincount(label, minlength=classes)
    first = np.cumsum(count) - count
    order = np.argsort(count == 0, kind="stable")
    rows = np.argsort(label, kind="stable")
    return ByClass(*(np.asarray(x, np.int32) for x in (rows, first[order], count[order], np.sum(count > 0))))


def draw(key: jax.Array, by_class: ByClass, shape: tuple[int, ...]) -> jax.Array:
    """Returns rows int32 [*shape], each drawn with replacement: first a class, then a row of it, both uniformly."""
    of_class, of_row = (jax.random.fold_in(key, i) for i in range(2))
    drawn = jax.random.randint(of_class, shape, 0, by_class.present)
    within = jax.random.randint(of_row, shape, 0, by_class.count[drawn])
    return by_class.rows[by_class.first[drawn] + within]
