"""Which training examples are for validation. Owns the fixed permutation; the test split is never touched.

The choice depends on nothing but the seed below, the number of examples and, if stratified, the labels: no config and
no run seed moves an example from one split to the other.
"""

from __future__ import annotations

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.data.rows import select

SEED = 1998  # of NumPy's PCG64, for every split made here: the year MNIST was published


def check(validation_examples: int, train_examples: int) -> None:
    """Raises ConfigError unless 0 <= validation_examples < train_examples."""
    is_whole = isinstance(validation_examples, (int, np.integer)) and not isinstance(validation_examples, bool)
    if not is_whole or not 0 <= validation_examples < train_examples:
        raise ConfigError(
            f"config.data.validation_examples = {validation_examples!r}: allowed are whole numbers "
            f"from 0 to {train_examples - 1}"
        )


def carve(train: Arrays, examples: int, *, stratified: bool) -> tuple[Arrays, Arrays]:
    """Take `examples` away from `train` by the fixed permutation. Both parts keep the order of `train`.

    Args:
        train: [N] examples.
        examples: 0 <= examples < N; with 0, `train` is returned as it is, not copied.
        stratified: take from each class in proportion, as evenly as whole examples allow; the last of a class only
            where nothing else is left.

    Returns:
        (the rest, what was taken).
    """
    if examples == 0:
        return train, Arrays(train.image[:0], train.label[:0])
    is_taken = np.zeros(len(train.label), bool)
    is_taken[_order(train.label, stratified=stratified)[:examples]] = True
    rest, taken = (np.flatnonzero(mask) for mask in (~is_taken, is_taken))
    return Arrays(select(train.image, rest), train.label[rest]), Arrays(train.image[taken], train.label[taken])


def cut(train: Arrays, last: int) -> tuple[Arrays, Arrays]:
    """Divide `train` [N] into the examples before the last ones, and the `last` ones."""
    first = np.arange(len(train.label) - last)
    rest = Arrays(select(train.image, first), train.label[: len(first)])
    return rest, Arrays(train.image[len(first) :], train.label[len(first) :])


def _order(label: np.ndarray, *, stratified: bool) -> np.ndarray:
    """The fixed permutation of the examples, int64 [N]. Stratified: every prefix holds each class in proportion, and
    the last example of each class comes after all others, so that no class is used up before it must be."""
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(len(label))
    if not stratified:
        return order
    share = np.empty(len(label))  # of its own class that lies at or before the example
    for value in np.unique(label):
        place = np.flatnonzero(label[order] == value)
        share[place] = (np.arange(place.size) + 0.5) / place.size
        share[place[-1]] = 1
    return order[np.argsort(share, kind="stable")]
