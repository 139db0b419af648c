"""Statistics over seeds and examples: intervals, tests, corrections for many comparisons.

A study trains every variant with the same seeds, so what counts is the difference between a variant and the baseline,
seed by seed: d [S]. Two sources of chance are kept apart: training (over the seeds) and the test set (over its
examples). Axis letters: S seeds, N examples.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

EXACT_SEEDS = 13  # up to this many, the test tries all 2**S signs
RESAMPLES = 9_999
MOST_SEEDS = 100_000  # the most that `seeds_needed` considers
ROUNDING = 1e-9  # values that differ by less, relative to the largest, are equal: the rest is rounding


def summarise(values: Sequence[float], *, within: tuple[float, float] = (-math.inf, math.inf)) -> dict[str, Any]:
    """Returns the mean, standard deviation and 95 % t interval of one value per seed [S], S >= 1.

    The interval is Student's, mean +- t(0.975, S - 1) * std / sqrt(S), cut to the possible values `within`.
    For one seed `std` and `ci95` are None.

    >>> found = summarise([0.991, 0.993, 0.992], within=(0, 1))
    >>> f"{found['mean']:.2%}, 95 % interval {found['ci95'][0]:.2%} to {found['ci95'][1]:.2%}"
    '99.20%, 95 % interval 98.95% to 99.45%'
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


def bootstrap_interval(
    values: np.ndarray, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Returns the bootstrap interval of the mean over the last axis: values [..., S] -> [..., 2], S >= 2.

    Bias-corrected and accelerated (Efron 1987). Where all values are equal, both ends are that value. With ten seeds it
    is too narrow: tests/core/test_stats.py measures how often it covers the truth.
    """
    from scipy.stats import bootstrap

    values = np.asarray(values, np.float64)
    rows = values.reshape(-1, values.shape[-1])
    ends = np.repeat(rows.mean(-1, keepdims=True), 2, axis=-1)
    differ = np.ptp(rows, axis=-1) > ROUNDING * np.abs(rows).max(-1)
    if differ.any():
        found = bootstrap(
            (rows[differ],), np.mean, axis=-1, n_resamples=resamples, batch=256, confidence_level=level, rng=seed
        )
        ends[differ] = np.stack(found.confidence_interval, axis=-1)
    return ends.reshape(*values.shape[:-1], 2)


def sign_flip_p(differences: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Returns the two-sided p of the sign-flip permutation test over the last axis: [..., S] -> [...] in (0, 1].

    If variant and baseline are the same, each difference is as likely as its negative (Fisher 1935). The test tries all
    2**S signs for S <= 13, and 9,999 random ones beyond. The smallest p of S seeds is 2 / 2**S. Sums that differ by
    rounding alone count as equal: differences of accuracies (multiples of 1 / N) often are.

    >>> float(sign_flip_p(np.array([0.2, 0.1, 0.3, 0.2, 0.1, 0.4])))  # 2 / 2**6: all six are positive
    0.03125
    """
    differences = np.asarray(differences, np.float64)
    seeds = differences.shape[-1]
    if seeds <= EXACT_SEEDS:
        signs, own = all_signs(seeds), 0
    else:
        signs, own = np.random.default_rng(seed).choice([-1.0, 1.0], (RESAMPLES, seeds)), 1  # and the observed signs
    rows = differences.reshape(-1, seeds)
    p = np.empty(len(rows))
    for i, row in enumerate(rows):
        least = abs(row.sum()) - ROUNDING * np.abs(row).sum()
        p[i] = (np.count_nonzero(np.abs(signs @ row) >= least) + own) / (len(signs) + own)
    return p.reshape(differences.shape[:-1])


@functools.cache
def all_signs(seeds: int) -> np.ndarray:
    """Returns all rows of signs, [2**S, S]; the first row is all plus."""
    return 1.0 - 2.0 * ((np.arange(2**seeds)[:, None] >> np.arange(seeds)) & 1)


def holm(p: Sequence[float]) -> list[float]:
    """Returns the p values corrected for their number (Holm 1979): rejecting those <= a keeps the chance of any false
    rejection <= a.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    corrected, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * float(p[i])))
        corrected[i] = largest
    return corrected


@functools.cache
def mcnemar_p(only_first: int, only_second: int) -> float:
    """Returns the exact two-sided p of McNemar's test (1947): of the examples that only one of two classifiers gets
    right, each should have half if they are equally good.

    >>> round(mcnemar_p(14, 3), 4)
    0.0127
    """
    from scipy.stats import binomtest

    both = only_first + only_second
    return float(binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def test_set_error(hits: np.ndarray) -> float:
    """Returns the standard error, from the choice of the test examples, of the mean difference in accuracy.

    Args:
      hits: per example [N], the difference in the number (or share) of seeds that get it right, N >= 2.
    """
    return float(np.std(hits, ddof=1) / math.sqrt(len(hits)))


def spread(values: np.ndarray) -> float:
    """Returns the standard deviation of one value per seed [S], S >= 2: 0 where they differ by rounding alone, as equal
    differences of accuracies (multiples of 1 / N) do."""
    std = float(np.std(values, ddof=1))
    return std if std > ROUNDING * float(np.abs(values).max()) else 0.0


def effect_size(differences: np.ndarray) -> float | None:
    """Returns Cohen's d of paired differences [S]: their mean over their `spread`; None where that is 0."""
    std = spread(differences)
    return float(np.mean(differences)) / std if std else None


def fewest_seeds(level: float) -> int:
    """Returns the fewest seeds with which the sign-flip test can reject at `level` at all: 2 / 2**S <= level."""
    return math.ceil(1 - math.log2(level) - 1e-9)


def seeds_needed(difference: float, std: float, *, level: float = 0.05, power: float = 0.8) -> int | None:
    """Returns how many seeds the sign-flip test needs to detect a true `difference` with probability `power`.

    Args:
      difference: true mean of the paired differences.
      std: their standard deviation.
      level: chance of a false detection; 0.05 / m for m comparisons, which is Holm's first step.

    Returns:
      None where 100,000 seeds are not enough.

    >>> seeds_needed(0.15, std=0.1)  # in points of accuracy
    7
    """
    if not difference:
        return None
    fewest = fewest_seeds(level)
    effect = abs(difference) / std if std else math.inf
    for seeds in range(fewest, EXACT_SEEDS + 1):
        if _visible_effect(seeds, level, power) <= effect:
            return seeds
    low, high = EXACT_SEEDS, EXACT_SEEDS + 1
    while _power_of_t(high, effect, level) < power:
        if high == MOST_SEEDS:
            return None
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:  # fewer than `high`, more than `low`
        middle = (low + high) // 2
        low, high = (low, middle) if _power_of_t(middle, effect, level) >= power else (middle, high)
    return max(high, fewest)


def smallest_visible(std: float, seeds: int, *, level: float = 0.05, power: float = 0.8) -> float | None:
    """Returns the smallest true difference that this many seeds detect with probability `power` (see `seeds_needed`);
    None if they are too few to detect any."""
    if seeds < fewest_seeds(level):
        return None
    return std * _visible_effect(seeds, level, power)


@functools.cache
def _visible_effect(seeds: int, level: float, power: float) -> float:
    """The smallest mean, in standard deviations of the differences, that is detected with probability `power`.

    Up to 13 seeds it comes from 2,000 simulated studies with normal differences, always the same ones; beyond, from the
    t test, from which the sign-flip test then hardly differs.
    """
    from scipy.optimize import brentq

    if seeds > EXACT_SEEDS:
        return float(brentq(lambda effect: _power_of_t(seeds, effect, level) - power, 1e-4, 100.0, xtol=1e-6))
    noise = np.random.default_rng(0).standard_normal((2_000, seeds))
    signs = all_signs(seeds)[: 2 ** (seeds - 1)]  # the other half gives the same sums, negated
    sums, shift = noise @ signs.T, signs.sum(1)

    def seen(effect: float) -> float:
        rejected = 0
        for part in np.split(sums, 50):  # small enough for the processor's cache
            flipped = np.abs(part + effect * shift)
            p = np.mean(flipped >= flipped[:, :1] - 1e-9, axis=1)  # the first row flips no sign
            rejected += int(np.sum(p <= level + 1e-9))
        return rejected / len(sums)

    low, high = 0.0, 16.0
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) >= power else (middle, high)
    return high


def _power_of_t(seeds: int, effect: float, level: float) -> float:
    """The probability that a paired t test with this many seeds rejects (non-central t distribution)."""
    from scipy.stats import nct, t

    bound = t.ppf(1 - level / 2, seeds - 1)
    shift = effect * math.sqrt(seeds)
    above, below = nct.sf(bound, seeds - 1, shift), nct.cdf(-bound, seeds - 1, shift)
    return float(np.nan_to_num(above, nan=1.0) + np.nan_to_num(below, nan=0.0))  # NaN: too far out to compute
