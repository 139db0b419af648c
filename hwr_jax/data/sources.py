"""The table of data sets. Owns what is fixed about each: version, classes, sizes, digest. Reads nothing.

A set of the MNIST family (the same four IDX files, a builder in TFDS) is one row.
"""

from __future__ import annotations

from typing import NamedTuple

IDX_FILES = {  # the names of the MNIST family, as registered in TFDS
    "train_image": "train-images-idx3-ubyte.gz",
    "train_label": "train-labels-idx1-ubyte.gz",
    "test_image": "t10k-images-idx3-ubyte.gz",
    "test_label": "t10k-labels-idx1-ubyte.gz",
}
IMAGE_SHAPE = (28, 28, 1)


class Source(NamedTuple):
    """What is fixed about a data set."""

    name: str  # ours, and TFDS's
    version: str  # TFDS's, or ours where the set is made here
    classes: tuple[str, ...]  # K names
    train_examples: int  # before validation is taken away
    test_examples: int
    validation_examples: int  # the default
    sha256: str | None  # of the content (`content.digest`); None: unknown, the checksums of the files verify it
    stratified: bool = False  # does the validation split keep the classes' shares?


DIGITS = tuple("0123456789")
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

MNIST_SHA256 = "670c347b1c44d0253f8a9d10dd24c262a803c75764b6bbed173aee92e7d3f889"

SOURCES = {
    source.name: source
    for source in (
        Source("mnist", "3.0.1", DIGITS, 60_000, 10_000, 5_000, MNIST_SHA256),
        Source("fashion_mnist", "3.0.1", FASHION, 60_000, 10_000, 5_000, None),
        Source("kmnist", "3.0.1", HIRAGANA, 60_000, 10_000, 5_000, None),
        Source("digits", "1.0.0", DIGITS, 1_297, 500, 200, None, stratified=True),
    )
}
