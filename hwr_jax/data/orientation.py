"""Whether pictures seem to be transposed, as EMNIST's files are: a guess that only warns. Labelled digits are compared
with known ones; of pictures without labels, a model has to be surer when it reads them transposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwr_jax.core.types import Arrays

SAMPLE = 500  # pictures that are looked at
ENOUGH = 10  # fewer say nothing
BETTER = 0.3  # by so much more must be read transposed
SURER = 0.05  # by so much the mean confidence must be higher, without labels ...
ERRORS = 4  # ... and by this many of its standard errors


def are_digits(names: Sequence[str]) -> bool:
    """Whether enough of the pictures are digits, by the names of their classes, to say something about them."""
    found = [name for name in names if len(name) == 1 and name.isdecimal()]
    return len(found) >= ENOUGH and len(set(found)) >= 3


def shares(image: np.ndarray, names: Sequence[str], known: Arrays) -> tuple[float, float]:
    """Returns which share of the digits has the label of the most similar known one: as they are, and transposed.

    Args:
        image: uint8 [N, 28, 28], 0 = paper, 255 = ink.
        names: of the class of each.
        known: upright digits, image uint8 [M, 28, 28, 1] and label [M].
    """
    rows = [i for i, name in enumerate(names) if len(name) == 1 and name.isdecimal()][:SAMPLE]
    reference, label = _unit(np.asarray(known.image[..., 0])), np.asarray(known.label)
    wanted = np.array([int(names[i]) for i in rows])

    def share(pictures):
        return float(np.mean(label[np.argmax(_unit(pictures) @ reference.T, axis=1)] == wanted))

    return share(image[rows]), share(image[rows].swapaxes(1, 2))


def warning(image: np.ndarray, names: Sequence[str], known: Arrays, orientation: str) -> str | None:
    """Returns a sentence if the pictures (see `shares`) read clearly better when transposed, else None."""
    upright, transposed = shares(image, names, known)
    if transposed < upright + BETTER:
        return None
    other = _other(orientation)
    return (
        f"Warning: the pictures seem to have rows and columns swapped ({100 * upright:.0f} % of a sample look like "
        f"their digit as they are, {100 * transposed:.0f} % transposed): try orientation={other} "
        "(config.data.orientation or --orientation)"
    )


def warning_unlabelled(
    name: str,
    image: np.ndarray,
    confidence: np.ndarray,
    read: Callable[[np.ndarray], list[list[tuple[str, float]]]],
    orientation: str,
) -> str | None:
    """Returns a sentence if a model reads the pictures of a file clearly surer when transposed, else None.

    Args:
        name: of the file.
        image: uint8 [N, H, H, 1], what the model read.
        confidence: float [N], how sure it was.
        read: the model: images -> for each, its classes with their probabilities, the most probable first.
        orientation: how the file was read, upright or transposed.
    """
    if len(image) < ENOUGH:
        return None
    rows = np.unique(np.linspace(0, len(image) - 1, SAMPLE).astype(int))
    best = [found[0] for found in read(image[rows].swapaxes(1, 2))]
    before, after = np.asarray(confidence)[rows], np.array([sure for _, sure in best])
    gain = after - before
    least = max(SURER, ERRORS * float(gain.std(ddof=1)) / len(rows) ** 0.5)
    if gain.mean() < least or len({label for label, _ in best}) < 3:  # of one class, it may look like another, turned
        return None
    return (
        f"Warning: {name} seems to have rows and columns swapped (the mean confidence is {before.mean():.2f} as it is "
        f"read, {after.mean():.2f} transposed): try --orientation={_other(orientation)}"
    )


def _other(orientation: str) -> str:
    return "upright" if orientation == "transposed" else "transposed"


def _unit(pictures: np.ndarray) -> np.ndarray:
    """[N, 28, 28] -> float32 [N, 784] of length 1."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1)
