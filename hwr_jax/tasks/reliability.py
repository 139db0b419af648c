"""Whether a confidence can be believed: the reliability diagram."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwr_jax.tasks.metrics import ECE_BINS, bin_of


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
    index = bin_of(confidence, count)
    sizes = np.bincount(index, minlength=count)
    sums = [np.bincount(index, weights=values, minlength=count) for values in (confidence, correct)]
    full = sizes > 0
    return Bins(*(total[full] / sizes[full] for total in sums), sizes[full])
