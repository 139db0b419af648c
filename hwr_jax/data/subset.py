"""Fewer training examples, or wrong labels among them, for studies of data. Leaves the test set alone.

Both draws depend only on the data and on a seed of their own, so every seed of a run gets the same examples.
"""

from __future__ import annotations

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.data.rows import select


def fewer(train: Arrays, examples: int, *, seed: int, key: str = "data.train_examples") -> Arrays:
    """Keeps `examples` of the training set, balanced over the classes (strings: any); larger subsets contain the
    smaller ones.

    Args:
      train: [N] examples.
      examples: 1 to N; 0: all, as they are.
      seed: of the draw.
      key: the config's, for the error.

    Raises:
      ConfigError: more examples than there are.
    """
    if examples == 0:
        return train
    label = np.asarray(train.label)
    if examples > len(label):
        raise ConfigError(
            f"config.{key}={examples} is more than the {len(label)} training images: use at most that "
            "many, or 0 for all"
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(label))
    if label.ndim > 1:
        chosen = np.sort(order[:examples])
        return Arrays(select(train.image, chosen), label[chosen])
    turn = np.empty(len(label), np.int64)  # how many of its class come before it
    for value in np.unique(label):
        place = np.flatnonzero(label[order] == value)
        turn[place] = np.arange(place.size)
    chosen = np.sort(order[np.argsort(turn, kind="stable")[:examples]])
    return Arrays(select(train.image, chosen), label[chosen])


def refuse_noise_for_strings(share: float) -> None:
    """Raises ConfigError if wrong labels are asked for beside strings, which have no other class to be taken for."""
    if share:
        raise ConfigError(f"config.data.label_noise={share} is not for strings: use 0")


def with_wrong_labels(train: Arrays, share: float, *, classes: int, seed: int) -> Arrays:
    """Gives `share` of the examples (rounded) a label drawn evenly from the other classes (symmetric label noise).

    Args:
      train: [N] examples.
      share: 0 to 1.
      classes: K.
      seed: of the draw.
    """
    if share == 0:
        return train
    generator = np.random.Generator(np.random.PCG64(seed))
    label = np.array(train.label)
    wrong = generator.permutation(len(label))[: round(share * len(label))]
    label[wrong] = (label[wrong] + generator.integers(1, classes, wrong.size)) % classes
    return Arrays(train.image, label)
