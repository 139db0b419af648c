"""Further training images, made by a program and added to those of a data set; validation and test stay as they are."""

from __future__ import annotations

import hashlib

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import content


def check(dataset: Dataset, key: str, count: int) -> None:
    """Raises ConfigError if the images are streamed: then nothing can be added to them."""
    if not isinstance(dataset.train.image, np.ndarray):
        raise ConfigError(f"config.data.{key}={count} needs config.data.stream=False: use 0, or do not stream")


def refuse_for_strings(**counts: int) -> None:
    """Raises ConfigError if such images are asked for beside strings, whose images have another size."""
    for key, count in counts.items():
        if count:
            raise ConfigError(f"config.data.{key}={count} needs images of 28x28 pixels: use 0")


def append(
    dataset: Dataset, image: np.ndarray, label: np.ndarray, *, made_by: str, classes: tuple[str, ...] = ()
) -> Dataset:
    """Returns the data set with more training images, and with the digest of all of its content.

    Args:
        dataset: of images uint8 [N, 28, 28, 1].
        image: uint8 [n, 28, 28].
        label: int32 [n].
        made_by: names the program and its version; part of the digest.
        classes: the new ones, after those of the data set.
    """
    image = image[..., None]
    train = Arrays(np.concatenate([dataset.train.image, image]), np.concatenate([dataset.train.label, label]))
    mean, std = content.moments(train.image)
    digest = hashlib.sha256(f"{dataset.sha256} {made_by} {content.fingerprint(image)}".encode()).hexdigest()
    return dataset._replace(sha256=digest, train=train, classes=dataset.classes + classes, mean=mean, std=std)
