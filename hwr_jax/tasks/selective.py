"""How good the confidence is at telling right from wrong: what a reader that may say "I do not know" gains by it."""

from __future__ import annotations

import numpy as np


def aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Returns the area under the risk-coverage curve, 0..1: the mean, over all numbers n of examples, of the error rate
    on the n surest. Lower is better; a confidence that tells nothing gives the error rate.

    Geifman, Uziel & El-Yaniv 2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers".

    Args:
      confidence: float [N], N >= 1. Examples of equal confidence count as if in random order.
      correct: bool [N].
    """
    return float(risk_coverage(confidence, correct).mean())


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Returns the error rate on the n surest examples, for n = 1 ... N: float64 [N], 0..1.

    El-Yaniv & Wiener 2010, "On the Foundations of Noise-free Selective Classification".

    Args:
      confidence, correct: see `aurc`.
    """
    _, wrong, accepted = _curve(confidence, correct)
    errors, sizes = np.diff(wrong, prepend=0), np.diff(accepted, prepend=0)  # of each confidence that occurs
    return np.cumsum(np.repeat(errors / sizes, sizes)) / np.arange(1, accepted[-1] + 1)


def rejected_at(confidence: np.ndarray, correct: np.ndarray, accuracy: float) -> tuple[float, float]:
    """Returns the least share of examples to reject so that of the others `accuracy` are right, and the confidence to
    accept from. With (1.0, inf) there is no such confidence.

    Args:
      confidence, correct: see `aurc`.
      accuracy: 0..1.

    >>> confidence, correct = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True])
    >>> rejected_at(confidence, correct, 1.0)  # half of them; the others have a confidence of 0.8 or more
    (0.5, 0.8)
    """
    levels, wrong, accepted = _curve(confidence, correct)
    enough = np.flatnonzero(wrong <= (1 - accuracy) * accepted + 1e-9)
    if not enough.size:
        return 1.0, float("inf")
    last = enough[-1]
    return float(1 - accepted[last] / accepted[-1]), float(levels[last])


def _curve(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The confidences that occur, from the highest; the errors, and the examples, that are accepted from each on."""
    negative, group, counts = np.unique(-np.asarray(confidence, np.float64), return_inverse=True, return_counts=True)
    wrong = np.bincount(group, weights=~np.asarray(correct, bool), minlength=len(counts))
    return -negative, np.cumsum(wrong), np.cumsum(counts)
