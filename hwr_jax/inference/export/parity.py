"""The check that every export has to pass: the file computes what JAX computes, on the whole test set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from hwr_jax import data
from hwr_jax.core.errors import DataMissing
from hwr_jax.core.types import Arrays
from hwr_jax.data import configured
from hwr_jax.inference.export.source import Source
from hwr_jax.tasks import ctc, metrics

LIMIT = 1e-5  # largest difference of a probability
STAND_IN = "digits"  # what comes with scikit-learn


class NotTheSame(Exception):
    """The exported file does not compute what JAX computes: the message says by how much."""


class Parity(NamedTuple):
    """What a check found. Accuracies are shares of the images; of strings that are right as a whole."""

    images_of: str  # "mnist test"
    images: int
    largest_difference: float  # of a probability
    other_answers: int  # images with another most probable class (strings: at some time step)
    accuracy: float  # of the file
    accuracy_of_jax: float

    @property
    def lost_points(self) -> float:
        """Percentage points of accuracy that the file lacks."""
        return 100 * (self.accuracy_of_jax - self.accuracy)


def test_set(
    source: Source, *, data_dir: str | None, manual_dir: str, log: Callable[[str], None]
) -> tuple[str, Arrays]:
    """Returns the name and the test images of the data set that a model was trained on.

    Where that cannot be had and the model reads single digits, the test images of `STAND_IN` take its place, which is
    logged.

    Raises:
      DataMissing: neither can be used.
      DataError: the data have changed since the training.
    """
    config = source.config.copy_and_resolve_references()
    known = config.data.name in data.SOURCES and config.data.name != data.OWN  # its files have published sums
    try:
        if known and (config.data.drawn or config.data.negatives):  # of the training set alone, and slow to draw
            config.data.drawn = config.data.negatives = 0
            found = configured.load(config, data_dir, log, manual_dir=manual_dir or None)
        else:
            found = configured.load_of_run(config, source.facts, data_dir, log, manual_dir=manual_dir)
    except DataMissing as missing:
        fits = source.facts["shape"] == [28, 28, 1] and set("0123456789") <= set(source.facts["classes"])
        if not fits or source.model.reads_strings:
            raise
        found = data.load(STAND_IN, log=log)
        log(f"{config.data.name} was not found, so the check reads the test images of {STAND_IN} instead ({missing})")
    found = data.with_classes(found, tuple(source.facts["classes"]), log=log, hint="")
    return f"{found.name} test", Arrays(np.asarray(found.test.image), np.asarray(found.test.label))


def compare(made: np.ndarray, wanted: np.ndarray, *, label: np.ndarray, images_of: str) -> Parity:
    """Compares the probabilities of a file and of JAX, both float [N, K] or [N, T, K + 1].

    Raises:
      NotTheSame: another shape, or a number that is not finite.
    """
    if made.shape != wanted.shape:
        raise NotTheSame(f"the file gives probabilities of the shape {list(made.shape)}, JAX {list(wanted.shape)}")
    for who, prob in (("the file", made), ("JAX", wanted)):
        if bad := int(np.sum(~np.isfinite(prob).reshape(len(prob), -1).all(1))):
            raise NotTheSame(f"{who} gives probabilities that are not finite for {bad:,} of {len(prob):,} images")
    other = (made.argmax(-1) != wanted.argmax(-1)).reshape(len(made), -1).any(1)
    return Parity(
        images_of,
        len(label),
        float(np.abs(made - wanted).max(initial=0)),
        int(other.sum()),
        _accuracy(made, label),
        _accuracy(wanted, label),
    )


def require(found: Parity, *, quantised: bool, max_drop: float) -> None:
    """Raises NotTheSame if a file must not be used. max_drop: percentage points that a quantised one may lose."""
    if not found.images:
        raise NotTheSame("there are no test images to compare on")
    if quantised:
        if found.lost_points > max_drop + 1e-9:
            raise NotTheSame(
                f"quantised, the model loses {found.lost_points:.3f} points of accuracy on {found.images_of}, more "
                f"than --max_drop={max_drop:g}"
            )
        return
    if found.other_answers:
        raise NotTheSame(
            f"the file reads {found.other_answers:,} of {found.images:,} images of {found.images_of} differently than "
            "JAX does"
        )
    if found.largest_difference > LIMIT:
        raise NotTheSame(
            f"the file's probabilities differ from JAX's by up to {found.largest_difference:.1e} on {found.images_of}, "
            f"more than {LIMIT:.0e}"
        )


def in_words(found: Parity, *, quantised: bool) -> str:
    """Returns what a check found, as a line."""
    on = f"checked against JAX on {found.images:,} images ({found.images_of})"
    if quantised:
        return (
            f"{on}: accuracy {100 * found.accuracy:.2f} %, a drop of {found.lost_points:.3f} points; "
            f"{found.other_answers:,} read otherwise, probabilities within {found.largest_difference:.1e}"
        )
    return f"{on}: every answer the same, probabilities within {found.largest_difference:.1e}"


def _accuracy(prob: np.ndarray, label: np.ndarray) -> float:
    read: Any = prob.argmax(-1) if prob.ndim == 2 else np.asarray(ctc.best_path(jnp.asarray(prob)))
    return float(np.mean(metrics.right(read, label))) if len(label) else 0.0
