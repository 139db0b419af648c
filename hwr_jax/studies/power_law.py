"""Power laws of an error over a size: the fit, its interval, and its misfit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def fit_law(x: np.ndarray, error: np.ndarray, *, resamples: int = 2_000, seed: int = 0) -> dict[str, Any]:
    """Fits error = factor * x ** -exponent to the means over the seeds, by least squares of the logarithms.

    Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically". The interval is a percentile bootstrap
    over the seeds, drawn jointly for all x.

    Args:
      x: [X], > 0, two or more.
      error: [X, S], means > 0.

    Returns:
      factor, exponent, `exponent_ci95` (None for one seed); `misfit`: the largest |log(mean error) - log(fit)|;
      `misfit_errors`: the largest in standard errors of the means, and `beyond_chance`: whether fewer than one in
      twenty studies of a true law have a larger one (t distribution, X points); both None if a mean has no spread;
      `slopes`: the exponents between neighbours.
    """
    logs = np.log(np.asarray(x, np.float64))

    def fit(mean: np.ndarray) -> np.ndarray:  # [..., X] -> [2, ...]
        return np.polynomial.polynomial.polyfit(logs, np.log(mean).T, 1)

    mean = error.mean(1)
    offset, slope = fit(mean)
    away = np.abs(np.log(mean) - offset - slope * logs)
    interval = errors = beyond = None
    if error.shape[1] > 1:
        from scipy.special import stdtrit

        spread = error.std(1, ddof=1) / math.sqrt(error.shape[1]) / mean
        if (spread > 0).all():
            errors = float(np.max(away / spread))
            beyond = bool(errors > stdtrit(error.shape[1] - 1, 1 - 0.025 / len(mean)))
        rows = np.random.default_rng(seed).integers(0, error.shape[1], (resamples, error.shape[1]))
        drawn = error[:, rows].mean(-1).T  # [resamples, X]
        slopes = fit(drawn[(drawn > 0).all(1)])[1]
        interval = [float(q) for q in np.quantile(-slopes, (0.025, 0.975))]
    return {
        "factor": float(np.exp(offset)),
        "exponent": float(-slope),
        "exponent_ci95": interval,
        "misfit": float(away.max()),
        "misfit_errors": errors,
        "beyond_chance": beyond,
        "slopes": [float(v) for v in -np.diff(np.log(mean)) / np.diff(logs)],
    }
