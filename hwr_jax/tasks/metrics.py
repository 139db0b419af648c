"""Metrics on the host, in float64, from the outcome of each example."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwr_jax.core.types import Array, Outputs

ECE_BINS = 15


def confusion_matrix(label: np.ndarray, pred: np.ndarray, classes: int) -> np.ndarray:
    """Counts int64 [K, K]: row = label, column = prediction.

    >>> confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), 3).tolist()
    [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    """
    return np.bincount(label.astype(np.int64) * classes + pred, minlength=classes**2).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 float64 [K], support int64 [K]; a quotient 0 / 0 is 0, as in scikit-learn."""
    hits = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(0), confusion.sum(1)

    def quotient(a, b):
        return np.divide(a, b, out=np.zeros_like(a), where=b > 0)

    return {
        "precision": quotient(hits, predicted),
        "recall": quotient(hits, support),
        "f1": quotient(2 * hits, predicted + support),
        "support": support,
    }


def per_length(label: np.ndarray, correct: np.ndarray) -> dict[str, list[Any]]:
    """The lengths of the strings int [N, L], and for each its examples and accuracy, from `correct` bool [N]."""
    length = (label >= 0).sum(1)
    lengths = np.unique(length)
    return {
        "length": lengths.tolist(),
        "examples": [int((length == n).sum()) for n in lengths],
        "accuracy": [float(correct[length == n].mean()) for n in lengths],
    }


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = ECE_BINS) -> float:
    """Returns the mean gap |accuracy - confidence| over equal-width bins of confidence, weighted by their counts.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". Range 0..1.

    Args:
      confidence: float [N], the probability of each prediction.
      correct: bool [N].
      bins: how many of the intervals (0, 1/bins], (1/bins, 2/bins], ...

    >>> confidence, correct = np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False])
    >>> round(expected_calibration_error(confidence, correct), 3)
    0.1
    """
    confidence = confidence.astype(np.float64)
    gap = np.bincount(bin_of(confidence, bins), weights=correct.astype(np.float64) - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Returns in which of the intervals (0, 1/bins], (1/bins, 2/bins], ... each confidence lies: float64 [N] -> int64
    [N], 0..bins - 1."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def right(pred: Array, label: Array) -> Array:
    """Returns whether each prediction equals its label, bool [N], for NumPy or JAX arrays.

    Args:
      pred: class [N], or string [N, T] padded with negative numbers.
      label: class [N], or string [N, L] padded likewise.
    """
    if label.ndim == 1:
        return pred == label
    both = min(pred.shape[1], label.shape[1])
    same = (pred[:, :both] == label[:, :both]).all(1)
    return same & (pred[:, both:] < 0).all(1) & (label[:, both:] < 0).all(1)


def text(label: Array, classes: tuple[str, ...]) -> str:
    """Returns the name of a label [], or the string of one [L]."""
    return "".join(classes[k] for k in np.atleast_1d(label) if k >= 0)


def edit_distance(pred: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Counts insertions, deletions and replacements from each string int [N, T] to [N, L] (Levenshtein 1966): int [N].

    Strings are padded with negative numbers.

    >>> edit_distance(np.array([[1, 2, 3, -1]]), np.array([[1, 3, 3, 3]]))
    array([2])
    """
    read, true = (pred >= 0).sum(1), (label >= 0).sum(1)
    rows = np.arange(len(label))
    costs = np.broadcast_to(np.arange(label.shape[1] + 1), (len(label), label.shape[1] + 1))
    for i in range(pred.shape[1]):
        new = np.empty_like(costs)
        new[:, 0] = i + 1
        for j in range(label.shape[1]):
            replaced = costs[:, j] + (pred[:, i] != label[:, j])
            new[:, j + 1] = np.minimum(replaced, 1 + np.minimum(costs[:, j + 1], new[:, j]))
        costs = np.where(np.less(i, read)[:, None], new, costs)
    return costs[rows, true]


def evaluate(label: np.ndarray, outputs: Outputs) -> dict[str, Any]:
    """Returns the metrics of one seed on one split.

    Args:
      label: int32 [N] (or [N, L]), N >= 1.
      outputs: loss, pred, prob, confidence over the same N.

    Returns:
      accuracy (strings: exact match), error_count, loss (nats), ece. For classes: precision_macro, recall_macro,
      f1_macro (means over the classes that occur as label or prediction, as in scikit-learn), and as lists `per_class`
      and `confusion`. For strings: cer, the character error rate (edits over characters), and `per_length`: the
      examples and accuracy of each length.
    """
    label, pred = np.asarray(label), np.asarray(outputs.pred)
    correct = right(pred, label)
    errors = int((~correct).sum())
    common = {
        "accuracy": (len(label) - errors) / len(label),
        "error_count": errors,
        "loss": float(np.asarray(outputs.loss, np.float64).mean()),
        "ece": expected_calibration_error(np.asarray(outputs.confidence), correct),
    }
    return common | (_of_strings if label.ndim == 2 else _of_classes)(label, pred, correct, np.asarray(outputs.prob))


def _of_classes(label: np.ndarray, pred: np.ndarray, correct: np.ndarray, prob: np.ndarray) -> dict[str, Any]:
    confusion = confusion_matrix(label, pred, prob.shape[-1])
    scores = per_class(confusion)
    present = (confusion.sum(0) + confusion.sum(1)) > 0
    return {
        **{f"{name}_macro": float(scores[name][present].mean()) for name in ("precision", "recall", "f1")},
        "per_class": {name: values.tolist() for name, values in scores.items()},
        "confusion": confusion.tolist(),
    }


def _of_strings(label: np.ndarray, pred: np.ndarray, correct: np.ndarray, prob: np.ndarray) -> dict[str, Any]:
    cer = float(edit_distance(pred, label).sum() / (label >= 0).sum())
    return {"cer": cer, "per_length": per_length(label, correct)}


SCALARS = ("accuracy", "error_count", "cer", "loss", "precision_macro", "recall_macro", "f1_macro", "ece")
DETAILS = ("per_class", "per_length", "confusion")


def possible(name: str, examples: int) -> tuple[float, float]:
    """Returns the lowest and highest value that one of `SCALARS` can have on that many examples."""
    return 0.0, {"error_count": examples, "loss": math.inf, "cer": math.inf}.get(name, 1.0)
