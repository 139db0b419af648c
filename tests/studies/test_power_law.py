"""The power law of an error over a size: its interval covers the truth as often as it says."""

import numpy as np
import pytest

from hwr_jax.studies import power_law

X = np.array([100.0, 300.0, 1000.0, 3000.0])
EXPONENT = 0.5


def a_study(chance, *, seeds, noise, shared=0.0):
    """Errors [X, S] of a true law, with log-normal chance of each trial, and of each seed at all x."""
    logs = noise * chance.standard_normal((len(X), seeds)) + shared * chance.standard_normal((1, seeds))
    return (2 * X**-EXPONENT)[:, None] * np.exp(logs)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize(("noise", "shared"), [(0.1, 0.0), (0.5, 0.0), (0.1, 0.3)])
def test_the_interval_of_the_exponent_covers_the_truth_in_93_to_97_percent_of_2000_studies(seeds, noise, shared):
    chance = np.random.default_rng(0)
    fits = [power_law.fit_law(X, a_study(chance, seeds=seeds, noise=noise, shared=shared)) for _ in range(2_000)]
    ends = np.array([fit["exponent_ci95"] for fit in fits])
    assert 0.93 <= np.mean((ends[:, 0] <= EXPONENT) & (ends[:, 1] >= EXPONENT)) <= 0.97


def test_a_seed_without_errors_is_not_left_out_of_the_interval():
    error = a_study(np.random.default_rng(1), seeds=5, noise=0.1)
    error[-1, 2] = 0.0
    fit = power_law.fit_law(X, error)
    low, high = fit["exponent_ci95"]
    assert low < fit["exponent"] < high
    assert low + high == pytest.approx(2 * fit["exponent"])
    error[-1, 1:] = 0.0  # what is left without the first seed has no logarithm
    assert power_law.fit_law(X, error)["exponent_ci95"] is None


def test_equal_errors_that_differ_by_rounding_are_no_misfit_of_any_number_of_standard_errors():
    base = np.array([0.1, 0.3, 0.7, 0.9])
    error = np.stack([(base + k) - base for k in (0.05, 0.02, 0.03, 0.01)])  # equal seeds, but for rounding
    assert np.ptp(error, axis=1).max() > 0
    fit = power_law.fit_law(X, error)
    assert (fit["misfit_errors"], fit["beyond_chance"]) == (None, None)
    assert np.ptp(fit["exponent_ci95"]) == 0
