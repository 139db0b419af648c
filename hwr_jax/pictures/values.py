"""Grey values from files other than pictures: their scale, their orientation, and archives of arrays.

`tables` reads text; here are IDX files and NumPy archives, and what all three have in common.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core import archives, idx
from hwr_jax.core.errors import DataError
from hwr_jax.pictures.separated import MAX_BYTES
from hwr_jax.pictures.splits import WORDS
from hwr_jax.pictures.tables import Reading

BYTE = 255.0
SCALES = (1.0, 16.0, BYTE)  # of binary and normalised pixels, of scikit-learn's and UCI's digits, of bytes
ORIENTATIONS = ("upright", "transposed")
IMAGES = ("images", "image", "imgs", "data", "x", "arr_0")  # names of arrays, the likeliest first
LABELS = ("labels", "label", "targets", "target", "y", "arr_1")


class Stack(NamedTuple):
    """Pictures of one array, and their labels."""

    name: str  # of the file, for messages
    split: str  # train, validation, test, or "": it is not said
    images: np.ndarray  # [N, H, W], of any numbers
    labels: np.ndarray | None  # [N]


def is_idx(path: Path) -> bool:
    """Whether a file's name says that it is an IDX file: train-images-idx3-ubyte, x.idx3-ubyte.gz."""
    return re.search(r"[-._]idx[1-4]([-._]ubyte)?(\.gz)?$", path.name.lower()) is not None


def scale_of(values: np.ndarray, where: str, reading: Reading, notes: list[str]) -> float:
    """Returns which value of a file is full ink or full white; adds a sentence to `notes` unless it is 255.

    Args:
      values: all values of the file, of any shape.
      where: the file, for messages.
      reading: its `pixel_scale` decides, where it is not 0.
      notes: for the user.

    Raises:
      DataError: a value that is negative, not finite, or above the scale.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not np.isfinite([low, high]).all():
        raise DataError(f"{where}: a pixel is missing or not a number")
    largest = reading.pixel_scale or BYTE
    if low < 0 or high > largest:
        more = (
            "; undo their standardisation"
            if low < 0
            else ""
            if reading.pixel_scale
            else "; for another scale set config.data.pixel_scale or --pixel_scale"
        )
        raise DataError(f"{where}: values from {low:g} to {high:g}, expected 0 to {largest:g}{more}")
    if reading.pixel_scale or high == 0:
        return largest
    scale = next(scale for scale in SCALES if high <= scale)
    if scale != BYTE:
        notes.append(
            f"{where}: the pixels lie between {low:g} and {high:g}, so they are read on the scale 0 to {scale:g} "
            "(config.data.pixel_scale or --pixel_scale sets another)"
        )
    return scale


def grey(values: np.ndarray, scale: float, reading: Reading) -> np.ndarray:
    """Returns pictures of numbers [N, H, W] as grey values uint8 [N, H, W], upright."""
    if values.dtype != np.uint8 or scale != BYTE:
        values = np.rint(values * np.float32(BYTE / scale)).astype(np.uint8)
    return values.swapaxes(1, 2) if reading.orientation == "transposed" else values


def idx_images(path: Path) -> np.ndarray:
    """Returns the pictures [N, H, W] of an IDX file. Raises DataError for another file, or one without pictures."""
    array = idx.parse(idx.load(path, MAX_BYTES), path, types=tuple(idx.TYPES))
    if array.ndim != 3:
        raise DataError(f"{path} has shape {list(array.shape)}, expected pictures [N, height, width]")
    if not len(array):
        raise DataError(f"{path} holds no picture")
    return array


def idx_labels(path: Path, examples: int, images: Path) -> np.ndarray:
    """Returns the labels [N] of an IDX file. Raises DataError for another file or another number of labels."""
    array = idx.parse(idx.load(path, MAX_BYTES), path, types=tuple(idx.TYPES))
    if array.ndim != 1:
        raise DataError(f"{path} has shape {list(array.shape)}, expected labels [N]")
    if len(array) != examples:
        raise DataError(f"{images} has {examples} pictures, but {path} has {len(array)} labels")
    return array


def npz_stacks(path: Path, notes: list[str], *, labelled: bool) -> list[Stack]:
    """Returns the pictures of a NumPy archive: x_train, y_train and so on as Keras has them, or one pair of arrays
    (images and labels, x and y). Without `labelled`, labels are not needed. `notes` gets a sentence about other arrays.

    Raises:
      DataError: it has no such arrays, they do not fit each other, or no picture is in them.
    """
    known = archives.names(path)
    stacks, used = [], set[str | None]()
    for split in ("", "train", "validation", "test"):
        words = tuple(word for word, of in WORDS.items() if of == split) if split else ("",)
        image, label = _name(known, IMAGES, words), _name(known, LABELS, words)
        if image is None:
            continue
        if label is None and labelled:
            raise DataError(f"{path} has {image} but no labels for it: its arrays are {', '.join(known)}")
        found = archives.arrays(path, [name for name in (image, label) if name], limit=MAX_BYTES)
        stacks.append(_checked(path, split, found[image], found[label] if label else None, image))
        used |= {image, label}
        if labelled and label:
            _check_labels(path, label, found[label])
    if not stacks:
        raise DataError(
            f"{path} has no pictures: expected arrays x_train, y_train, x_test, y_test or images, labels; it has "
            f"{', '.join(known) or 'none'}"
        )
    if not any(len(stack.images) for stack in stacks):
        raise DataError(f"{path} holds no picture")
    if left := [name for name in known if name not in used]:
        notes.append(f"{path}: left out the {'array' if len(left) == 1 else 'arrays'} {', '.join(left)}")
    return stacks


def _check_labels(path: Path, name: str, labels: np.ndarray) -> None:
    """Raises DataError for labels that have no plain name as a class: bytes, dates, NaN."""
    if labels.dtype.kind not in "buifU":
        raise DataError(f"{path}, array {name}: labels of type {labels.dtype}, expected numbers or text (str)")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{path}, array {name}: a label is missing or not a number")


def _name(arrays: list[str], names: tuple[str, ...], words: tuple[str, ...]) -> str | None:
    """The array of that kind and split: x_train, train_images, X_test, images."""
    wanted = [
        form for name in names for word in words for form in ((f"{name}_{word}", f"{word}_{name}") if word else (name,))
    ]
    return next((name for form in wanted for name in arrays if name.lower() == form), None)


def _checked(path: Path, split: str, images: np.ndarray, labels: np.ndarray | None, name: str) -> Stack:
    where = f"{path}, array {name}"
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim == 2 and (side := math.isqrt(images.shape[1])) ** 2 == images.shape[1]:
        images = images.reshape(len(images), side, side)
    if images.dtype == bool:
        images = images.astype(np.uint8)
    if images.ndim != 3 or images.dtype.kind not in "uif":
        raise DataError(f"{where}: {images.dtype}{list(images.shape)}, expected grey values [N, height, width]")
    if labels is not None and labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels is not None and (labels.ndim != 1 or len(labels) != len(images)):
        raise DataError(f"{where}: {len(images)} pictures, but labels of shape {list(labels.shape)}")
    return Stack(where, split, images, labels)
