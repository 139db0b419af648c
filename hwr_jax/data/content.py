"""What a data set holds, before it is split: its type, its digest, its moments. Reads and writes no files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data.rows import Rows
from hwr_jax.data.sources import Source

HISTOGRAM_PIXELS = 1 << 16  # at a time: bincount turns its input into int64, and this much stays in the CPU's cache


class Content(NamedTuple):
    """All examples in canonical order, the order of the original files."""

    train: Arrays  # image uint8 [N, 28, 28, 1], label int32 [N]; validation is still in here
    test: Arrays


def arrays(content: Content) -> Iterator[tuple[str, np.ndarray]]:
    """The four arrays with their names: train_image and test_image [N, H, W, 1], train_label and test_label."""
    for split, pair in zip(content._fields, content, strict=True):
        for field, array in zip(pair._fields, pair, strict=True):
            yield f"{split}_{field}", array


def fingerprint(array: np.ndarray) -> str:
    """SHA-256 of the elements of an array of any shape, in C order, little endian. Hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data).hexdigest()


def digest(name: str, content: Content) -> str:
    """The content digest: the same for the same examples in the same order, whatever files they came from.

    It is the SHA-256 of this text, each line ending with a line feed: first the data set's name, then for train_image,
    train_label, test_image and test_label `<array> <dtype> <shape joined by x> <fingerprint>`, for example
    `test_label int32 10000 5d…`.
    """
    lines = [name]
    for key, array in arrays(content):
        lines.append(f"{key} {array.dtype.name} {'x'.join(map(str, array.shape))} {fingerprint(array)}")
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def verify(source: Source, content: Content, *, where: str) -> str:
    """Check shapes, dtypes, sizes, labels and the registered digest; returns the digest.

    Raises:
        DataError: the sentence begins with `where`.
    """
    sizes = (source.train_examples, source.test_examples)
    for (split, pair), examples in zip(content._asdict().items(), sizes, strict=True):
        label_shape = (examples, source.label_length) if source.label_length else (examples,)
        expected = (("image", (examples, *source.image_shape), np.uint8), ("label", label_shape, np.int32))
        for field, shape, dtype in expected:
            array = getattr(pair, field)
            if array.shape != shape or array.dtype != dtype:
                raise DataError(
                    f"{where}: {split} {field} is {array.dtype}{list(array.shape)}, "
                    f"expected {np.dtype(dtype)}{list(shape)}"
                )
        within = pair.label[pair.label != -1] if source.label_length else pair.label
        check_labels(within, len(source.classes), where=f"{where}: {split}")
    sha256 = digest(source.name, content)
    if source.sha256 not in (None, sha256):
        raise DataError(f"{where}: the content of {source.name} has SHA-256 {sha256}, expected {source.sha256}")
    return sha256


def upright(source: Source, image: np.ndarray, label: np.ndarray, *, where: str) -> Arrays:
    """Turns the arrays of the original files into examples: image uint8 [N, 28, 28] and label [N].

    Raises:
        DataError: a label out of range; the sentence begins with `where`.
    """
    check_labels(label, len(source.classes), where=where, first=source.first_label)
    if source.transposed:
        image = image.swapaxes(1, 2)
    return Arrays(np.ascontiguousarray(image)[..., None], label.astype(np.int32) - source.first_label)


def original(source: Source, arrays: Arrays) -> Arrays:
    """Undoes `upright`, except for the last axis: for folders that other programs read."""
    image = arrays.image.swapaxes(1, 2) if source.transposed else arrays.image
    return Arrays(image, arrays.label + source.first_label)


def check_labels(label: np.ndarray, classes: int, *, where: str, first: int = 0) -> None:
    """Raises DataError unless first <= label < first + classes; label: integers of any shape."""
    wrong = np.flatnonzero((label < first) | (label >= first + classes))
    if wrong.size:
        raise DataError(f"{where}: label {wrong[0]} is {label[wrong[0]]}, expected {first} to {first + classes - 1}")


def moments(image: np.ndarray | Rows) -> tuple[float, float]:
    """Mean and standard deviation of all pixels on the scale 0..1, exact up to the last rounding.

    The sums are integers over the histogram, so neither the order nor the precision of a summation matters.

    Args:
        image: uint8, any shape; of no pixel at all (0, 1).
    """
    histogram = np.zeros(256, np.int64)
    images = max(1, HISTOGRAM_PIXELS // math.prod(image.shape[1:]))
    for start in range(0, len(image), images):
        histogram += np.bincount(image[start : start + images].reshape(-1), minlength=256)
    count = math.prod(image.shape)
    if not count:
        return 0.0, 1.0
    total = sum(value * int(times) for value, times in enumerate(histogram))
    squares = sum(value * value * int(times) for value, times in enumerate(histogram))
    return total / (count * 255), math.sqrt(count * squares - total * total) / (count * 255)
