"""Whether a confidence can be believed, as curves: the reliability diagram and the risk-coverage curve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwr_jax.tasks.metrics import ECE_BINS


class Bins(NamedTuple):
    """The bins of a reliability diagram in which examples lie, from the lowest confidence."""

    confidence: np.ndarray  # float64 [M], mean of the bin
    accuracy: np.ndarray  # float64 [M], 0..1
    count: np.ndarray  # int64 [M], at least 1


def bins(confidence: np.ndarray, correct: np.ndarray, *, count: int = ECE_BINS) -> Bins:
    """Returns confidence and accuracy in equal-width bins: those of `metrics.expected_calibration_error`, which is the
    mean of their gaps, weighted by their counts.

    DeGroot & Fienberg 1983, "The Comparison and Evaluation of Forecasters".

    Args:
      confidence: float [N], the probability of each prediction.
      correct: bool [N].
      count: how many of the intervals (0, 1/count], (1/count, 2/count], ...
    """
    confidence = np.asarray(confidence, np.float64)
    index = np.clip(np.ceil(confidence * count).astype(np.int64) - 1, 0, count - 1)
    sizes = np.bincount(index, minlength=count)
    sums = [np.bincount(index, weights=values, minlength=count) for values in (confidence, correct)]
    full = sizes > 0
    return Bins(*(total[full] / sizes[full] for total in sums), sizes[full])


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Returns the error rate on the n surest examples, for n = 1 ... N: float64 [N], 0..1. Its mean is
    `selective.aurc`.

    El-Yaniv & Wiener 2010, "On the Foundations of Noise-free Selective Classification".

    Args:
      confidence: float [N]. Examples of equal confidence count as if in random order.
      correct: bool [N].
    """
    confidence = np.asarray(confidence, np.float64)
    _, group, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    rate = np.bincount(group, weights=~np.asarray(correct, bool), minlength=len(sizes)) / sizes
    return np.cumsum(np.repeat(rate, sizes)) / np.arange(1, len(confidence) + 1)
