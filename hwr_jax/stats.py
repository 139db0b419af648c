"""Statistics over seeds. Owns intervals; reads no file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def summarise(values: Sequence[float], *, within: tuple[float, float] = (-math.inf, math.inf)) -> dict[str, Any]:
    """Returns the mean, standard deviation and 95 % t interval of one value per seed [S], S >= 1.

    The interval is Student's, mean +- t(0.975, S - 1) * std / sqrt(S), cut to the values that are possible: `within`.
    For one seed `std` and `ci95` are None.
    """
    values = [float(v) for v in values]
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return {"mean": mean, "std": None, "ci95": None, "per_seed": values}
    from scipy.special import stdtrit

    std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    half = float(stdtrit(len(values) - 1, 0.975)) * std / math.sqrt(len(values))
    return {
        "mean": mean,
        "std": std,
        "ci95": [max(mean - half, within[0]), min(mean + half, within[1])],
        "per_seed": values,
    }
