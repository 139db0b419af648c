"""Data sets as verified arrays. Owns `load`, its names, and the order of the steps: find, cache, verify, split.

Does not shuffle, batch, standardise or augment: that is device code. Importing this package imports neither jax nor
tensorflow-datasets nor scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core.errors import ConfigError, DataMissing
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import cache, content, find, rows, splits, strings, subset
from hwr_jax.data import folder as own
from hwr_jax.data.sources import SOURCES

__all__ = ["DATASETS", "GLYPHS", "OWN", "SOURCES", "STRINGS", "DataMissing", "load", "with_classes"]

OWN = "folder"  # a user's own pictures
STRINGS = "strings"  # composed from the glyphs of another data set
GLYPHS = (*SOURCES, OWN)
DATASETS = (*GLYPHS, STRINGS)


def load(
    name: str,
    *,
    validation_examples: int | None = None,
    train_examples: int = 0,
    label_noise: float = 0.0,
    subset_seed: int = 0,
    layout: Mapping[str, Any] | None = None,
    stream: bool = False,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    log: Callable[[str], object] = print,
) -> Dataset:
    """A data set, verified bit for bit and split, from whichever place has it.

    >>> digits = load("digits")
    >>> digits.train.image.shape, len(digits.validation.label), len(digits.test.label)
    ((1097, 28, 28, 1), 200, 500)

    The places, in order: the decoded cache; a TFDS folder (ArrayRecord or TFRecord); a folder with the original IDX
    files; the download. Data from the last two is also written to the TFDS folder, for every other user of TFDS.
    Whatever the place, the examples lie in the order of the original files, and test example i is the original's.

    Args:
        name: one of `DATASETS`.
        validation_examples: how many training examples become the validation split; None is the data
            set's own number (5,000 of MNIST's 60,000).
        train_examples: how many of the rest to keep, balanced (`subset.fewer`); 0: all.
        label_noise: share of the training labels to make wrong (`subset.with_wrong_labels`).
        subset_seed: the seed of both draws.
        layout: of `strings`, `config.data.strings`; the arguments above are then those of its glyphs.
        stream: leave the training images on disk, in the decoded cache (`rows.Rows`), and read them while training.
        data_dir: TFDS's folder; None is `TFDS_DATA_DIR`, else TFDS's default `~/tensorflow_datasets`.
        manual_dir: a folder with the original files; None is `HWR_MNIST_DIR` (in general `HWR_<NAME>_DIR`), if set.
            Of `folder`: the user's folder or CSV file (see `data/folder.py`).
        cache_dir: None is `cache.default_cache_dir()`.
        log: called with one line of text for the user at a time.

    Returns:
        `Dataset`: image uint8 [N, 28, 28, 1], 0 = paper, 255 = ink; label int32 [N]; `mean` and `std` of the training
        pixels on the scale 0..1. Of `strings`: see `strings.compose`. The arrays may be read-only and mapped from the
        cache.

    Raises:
        ConfigError: `name`, `validation_examples` or `train_examples` is outside the allowed set.
        DataMissing: no place has the data; `.tried` lists the places and the reasons.
        DataError: something is there, but damaged.
        OSError: the cache folder cannot be written.
    """
    if name not in DATASETS:
        raise ConfigError(f"config.data.name = {name!r}: allowed are {', '.join(DATASETS)}")
    if name == STRINGS:
        if layout is None:
            raise ConfigError("strings need a layout: config.data.strings of configs/base.py")
        glyphs = load(
            layout["glyphs"],
            validation_examples=validation_examples,
            train_examples=train_examples,
            label_noise=label_noise,
            subset_seed=subset_seed,
            data_dir=data_dir,
            manual_dir=manual_dir,
            cache_dir=cache_dir,
            log=log,
        )
        return strings.compose(glyphs, layout, cache_dir=cache_dir, log=log)
    found = None
    if name == OWN:
        if not manual_dir:
            raise ConfigError(
                "config.data.manual_dir is missing: name the folder or CSV file of your pictures (or --manual_dir)"
            )
        found = own.items(Path(manual_dir).expanduser())
    source = SOURCES[name] if found is None else own.describe(name, Path(str(manual_dir)).expanduser(), found)
    asked = source.validation_examples if validation_examples is None else validation_examples
    splits.check(asked, source.train_examples)
    folder = cache.folder(cache_dir, source)

    def make() -> content.Content:
        if found is not None:
            return own.make(source, found, log=log)
        return find.find(source, folder, data_dir=data_dir, manual_dir=manual_dir, cache_dir=cache_dir, log=log)

    data, sha256 = cache.read_or_make(folder, source, make, log=log)
    whole_train = (
        data.train._replace(image=rows.Rows(data.train.image, np.arange(len(data.train.label))))
        if stream
        else data.train
    )
    train, validation = splits.carve(whole_train, asked, stratified=source.stratified)
    train = subset.fewer(train, train_examples, seed=subset_seed)
    train = subset.with_wrong_labels(train, label_noise, classes=len(source.classes), seed=subset_seed)
    mean, std = content.moments(train.image)
    return Dataset(source.name, source.version, sha256, train, validation, data.test, source.classes, mean, std)


def with_classes(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """Returns the data set with its labels among `classes`, by name, for a model that was trained on those.

    Raises:
        ConfigError: it has a class that is not among them.
    """
    if dataset.classes == classes:
        return dataset
    unknown = [name for name in dataset.classes if name not in classes]
    if unknown:
        raise ConfigError(
            f"{dataset.name} has the class {unknown[0]!r}, which the model does not know (it knows "
            f"{', '.join(classes)}): to begin with its weights all the same, use --config.transfer.head=new"
        )
    place = np.array([*map(classes.index, dataset.classes), -1], np.int32)  # -1, behind a string, stays
    train, validation, test = (
        Arrays(arrays.image, place[np.asarray(arrays.label)])
        for arrays in (dataset.train, dataset.validation, dataset.test)
    )
    return dataset._replace(train=train, validation=validation, test=test, classes=classes)
