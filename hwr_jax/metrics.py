"""Metrics on the host, in float64, from per-example outcomes. Owns definitions; nothing here knows a model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwr_jax.types import Outputs

ECE_BINS = 15


def confusion_matrix(label: np.ndarray, pred: np.ndarray, classes: int) -> np.ndarray:
    """Counts int64 [K, K]: row = label, column = prediction."""
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


def expected_calibration_error(prob: np.ndarray, correct: np.ndarray, bins: int = ECE_BINS) -> float:
    """Returns the mean gap |accuracy - confidence| over equal-width bins of confidence, weighted by their counts.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". Range 0..1.

    Args:
      prob: [N, K]; the confidence is the highest of a row.
      correct: bool [N].
      bins: how many of the intervals (0, 1/bins], (1/bins, 2/bins], ...
    """
    confidence = prob.max(-1).astype(np.float64)
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(index, weights=correct.astype(np.float64) - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def evaluate(label: np.ndarray, outputs: Outputs) -> dict[str, Any]:
    """Returns the metrics of one seed on one split.

    Args:
      label: int32 [N], N >= 1.
      outputs: loss, pred, prob over the same N.

    Returns:
      accuracy, error_count, loss (nats), precision_macro, recall_macro, f1_macro (means over the classes that occur as
      label or prediction, as in scikit-learn), ece; `per_class` and `confusion` as lists.
    """
    label, pred, prob = (np.asarray(x) for x in (label, outputs.pred, outputs.prob))
    confusion = confusion_matrix(label, pred, prob.shape[-1])
    scores = per_class(confusion)
    present = (confusion.sum(0) + confusion.sum(1)) > 0
    errors = int((pred != label).sum())
    return {
        "accuracy": (len(label) - errors) / len(label),
        "error_count": errors,
        "loss": float(np.asarray(outputs.loss, np.float64).mean()),
        **{f"{name}_macro": float(scores[name][present].mean()) for name in ("precision", "recall", "f1")},
        "ece": expected_calibration_error(prob, pred == label),
        "per_class": {name: values.tolist() for name, values in scores.items()},
        "confusion": confusion.tolist(),
    }


SCALARS = ("accuracy", "error_count", "loss", "precision_macro", "recall_macro", "f1_macro", "ece")


def possible(name: str, examples: int) -> tuple[float, float]:
    """Returns the lowest and highest value that one of `SCALARS` can have on that many examples."""
    return 0.0, {"error_count": examples, "loss": math.inf}.get(name, 1.0)
