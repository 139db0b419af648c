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
    archive: str = ""  # the registered file that holds the four, in gzip/; "": they are registered themselves
    first_label: int = 0  # in the original files; here it is 0
    transposed: bool = False  # do the original files hold the pictures mirrored at the diagonal? Here they are upright
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    own_validation: int = 0  # the last N training examples are the user's own validation split; 0: it is drawn
    own_test: bool = False  # has a user's data set a test split of its own? Else it was drawn
    label_length: int = 0  # of strings: the longest; 0: an example has one label

    @property
    def family(self) -> str:
        """TFDS's name of the data set without its configuration: emnist of emnist/letters."""
        return self.name.partition("/")[0]

    def file_names(self) -> dict[str, str]:
        """The names of the four original files, by array."""
        if not self.archive:
            return IDX_FILES
        prefix = self.name.replace("/", "-")
        return {key: f"{prefix}-{name.replace('t10k', 'test')}" for key, name in IDX_FILES.items()}


DIGITS = tuple("0123456789")
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

UPPER, LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
BY_CLASS = (*DIGITS, *UPPER, *LOWER)
BY_MERGE = (*DIGITS, *UPPER, *"abdefghnqrt")  # the other small letters look like their capitals, and count as them


def _emnist(part: str, classes: tuple[str, ...], train: int, test: int, first_label: int = 0) -> Source:
    """A part of EMNIST (Cohen, Afshar, Tapson & van Schaik 2017)."""
    return Source(f"emnist/{part}", "3.1.0", classes, train, test, 5_000, None, False, "gzip.zip", first_label, True)


MNIST_SHA256 = "670c347b1c44d0253f8a9d10dd24c262a803c75764b6bbed173aee92e7d3f889"

SOURCES = {
    source.name: source
    for source in (
        Source("mnist", "3.0.1", DIGITS, 60_000, 10_000, 5_000, MNIST_SHA256),
        Source("fashion_mnist", "3.0.1", FASHION, 60_000, 10_000, 5_000, None),
        Source("kmnist", "3.0.1", HIRAGANA, 60_000, 10_000, 5_000, None),
        _emnist("digits", DIGITS, 240_000, 40_000),
        _emnist("letters", tuple(LOWER), 88_800, 14_800, first_label=1),
        _emnist("balanced", BY_MERGE, 112_800, 18_800),
        _emnist("byclass", BY_CLASS, 697_932, 116_323),
        _emnist("bymerge", BY_MERGE, 697_932, 116_323),
        _emnist("mnist", DIGITS, 60_000, 10_000),
        Source("digits", "1.0.0", DIGITS, 1_297, 500, 200, None, stratified=True),
    )
}
