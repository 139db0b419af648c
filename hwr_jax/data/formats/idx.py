"""The original files of the MNIST family: four IDX files, or Keras' archive of their arrays. Owns the checks of what
they hold; `core.idx` parses the format."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwr_jax.core import archives
from hwr_jax.core.errors import DataError
from hwr_jax.core.idx import GZIP, File, decompress, parse
from hwr_jax.core.types import Arrays
from hwr_jax.data.checksums import Registered
from hwr_jax.data.content import Content, upright
from hwr_jax.data.sources import IMAGE_SHAPE, Source

KERAS = {"train_image": "x_train", "train_label": "y_train", "test_image": "x_test", "test_label": "y_test"}


def read(paths: Mapping[str, File], source: Source, registered: Mapping[str, Registered]) -> Content:
    """Read and check the four files.

    Args:
        paths: a file, gzipped or not, for each key of `IDX_FILES`; also one within an archive.
        source: what is expected.
        registered: by name of the gzipped file; a gzipped file must match its entry, if it has one.

    Raises:
        DataError: a file is damaged, or not the one expected; the sentence names it.
    """
    plain = {}
    for key, name in source.file_names().items():
        limit = most_bytes(key, source)
        with paths[key].open("rb") as file:
            raw = file.read(limit + 1)
        if len(raw) > limit:
            raise DataError(f"{paths[key]} holds more than the {limit:,} bytes allowed")
        if raw.startswith(GZIP) and name in registered:
            check_registered(paths[key], raw, registered[name])
        plain[key] = parse(decompress(raw, paths[key], limit), paths[key])
    return _content(plain, paths, source)


def read_keras(path: Path, source: Source) -> Content:
    """Reads Keras' mnist.npz: the arrays x_train, y_train, x_test and y_test. Raises DataError as `read`."""
    arrays = archives.arrays(path, KERAS.values(), limit=sum(most_bytes(key, source) for key in KERAS))
    return _content({key: arrays[name] for key, name in KERAS.items()}, dict.fromkeys(KERAS, path), source)


def most_bytes(key: str, source: Source) -> int:
    """Returns the most bytes that are read of one file: twice what is expected, so that a file of another data set is
    still described by its shape."""
    examples = source.train_examples if key.startswith("train") else source.test_examples
    each = math.prod(source.image_shape) if key.endswith("image") else 1
    return 2 * (examples * each + 16) + 100_000


def _content(plain: Mapping[str, np.ndarray], paths: Mapping[str, File], source: Source) -> Content:
    splits = []
    for split, examples in (("train", source.train_examples), ("test", source.test_examples)):
        splits.append(_pair(split, plain, paths, examples, source))
    return Content(*splits)


def check_registered(path: File, raw: bytes, registered: Registered) -> None:
    """Raises DataError unless size and SHA-256 are the registered ones."""
    if len(raw) != registered.size:
        raise DataError(f"{path} has {len(raw)} bytes, expected {registered.size}")
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != registered.sha256:
        raise DataError(f"{path} has SHA-256 {sha256}, expected {registered.sha256}")


def _pair(
    split: str, plain: Mapping[str, np.ndarray], paths: Mapping[str, File], examples: int, source: Source
) -> Arrays:
    """The images and labels of one split, checked against each other and against what is expected."""
    image, label = plain[f"{split}_image"], plain[f"{split}_label"]
    image_path, label_path = paths[f"{split}_image"], paths[f"{split}_label"]
    if image.ndim != 3 or image.shape[1:] != IMAGE_SHAPE[:2]:
        raise DataError(f"{image_path} has shape {list(image.shape)}, expected [{examples}, 28, 28]")
    if label.ndim != 1:
        raise DataError(f"{label_path} has shape {list(label.shape)}, expected [{examples}]")
    if len(image) != len(label):
        raise DataError(f"{image_path} has {len(image)} images, but {label_path} has {len(label)} labels")
    if len(image) != examples:
        raise DataError(f"{image_path} has {len(image)} images, expected {examples}")
    return upright(source, image, label, where=str(label_path))
