"""Statistics: against scipy, statsmodels and brute force, and on simulated data whose truth is known."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats import contingency_tables, multitest
from statsmodels.stats.power import TTestPower

from hwr_jax.core import stats

TRIALS, SEEDS, EFFECT = 2_000, 10, 0.3


@pytest.fixture(scope="module")
def simulated():
    """Differences of 2,000 studies of ten seeds, whose true mean is 0.3 [trials, S]."""
    return np.random.default_rng(0).normal(EFFECT, 1.0, (TRIALS, SEEDS))


@pytest.mark.parametrize("shift", [0.0, -2.0])
def test_the_interval_over_seeds_is_students(shift):
    values = [v + shift for v in (0.991, 0.993, 0.9925, 0.994)]
    found = stats.summarise(values)
    expected = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    np.testing.assert_allclose(found["ci95"], expected, rtol=1e-12)
    np.testing.assert_allclose([found["mean"], found["std"]], [np.mean(values), np.std(values, ddof=1)], rtol=1e-12)
    assert found["per_seed"] == values


def test_one_seed_has_no_interval():
    assert stats.summarise([0.99, 0.90], within=(0.0, 1.0))["ci95"] == [pytest.approx(0.945 - 12.7062 * 0.045), 1.0]
    assert stats.summarise([0.5]) == {"mean": 0.5, "std": None, "ci95": None, "per_seed": [0.5]}


def test_the_t_interval_covers_a_known_effect_in_93_to_97_percent_of_2000_studies(simulated, capsys):
    ends = np.array([stats.summarise(d)["ci95"] for d in simulated])
    student = float(np.mean((ends[:, 0] <= EFFECT) & (ends[:, 1] >= EFFECT)))
    ends = stats.bootstrap_interval(simulated, resamples=999)
    bootstrap = float(np.mean((ends[:, 0] <= EFFECT) & (ends[:, 1] >= EFFECT)))
    with capsys.disabled():
        print(f"\nof 95 % intervals of {SEEDS} seeds cover the truth: t {student:.1%}, bootstrap {bootstrap:.1%}")
    assert 0.93 <= student <= 0.97
    assert 0.85 <= bootstrap <= 0.95  # too narrow, as it is known to be for so few values


def test_the_corrected_test_rejects_in_at_most_6_percent_of_2000_studies_without_effect():
    comparisons = 4
    values = np.random.default_rng(1).normal(size=(TRIALS, comparisons + 1, SEEDS))
    p = stats.sign_flip_p(values[:, 1:] - values[:, :1])  # all against the same baseline: not independent
    rejected = np.mean([min(stats.holm(row)) <= 0.05 for row in p])
    assert 0.005 < rejected <= 0.06
    assert np.mean(p.min(-1) <= 0.05) > 0.1  # what the correction is for


def test_the_corrected_test_finds_a_real_effect():
    values = np.random.default_rng(2).normal(size=(200, 4, SEEDS)) + np.array([2.0, 0.0, 0.0, 0.0])[:, None]
    corrected = np.array([stats.holm(row) for row in stats.sign_flip_p(values)])
    assert np.mean(corrected[:, 0] <= 0.05) > 0.95
    assert np.mean(corrected[:, 1:] <= 0.05) < 0.05


@pytest.mark.parametrize("values", [[0.3, -0.1, 0.4, 0.2, 0.5, 0.1], [1.0, 1.0, 1.0, -1.0], [0.0, 0.0, 2.0]], ids=str)
def test_the_sign_flip_test_counts_all_signs(values):
    d = np.array(values)
    means = [np.mean(d * signs) for signs in itertools.product((1, -1), repeat=len(d))]
    assert stats.sign_flip_p(d) == pytest.approx(np.mean(np.abs(means) >= abs(d.mean()) - 1e-12))


def test_the_sign_flip_test_is_that_of_scipy():
    d = np.random.default_rng(5).normal(0.3, 1, (20, 9))
    found = scipy_stats.permutation_test((d,), np.mean, permutation_type="samples", axis=-1, n_resamples=2**9)
    np.testing.assert_allclose(stats.sign_flip_p(d), found.pvalue, rtol=1e-12)


def test_sums_that_differ_by_rounding_alone_are_equal():
    """Differences of accuracies are multiples of 1 / N; scipy's tolerance is finer than their rounding."""
    counts = np.random.default_rng(6).integers(9_800, 9_999, (2, 200, 10))
    accuracies = counts / 10_000
    np.testing.assert_array_equal(
        stats.sign_flip_p(accuracies[0] - accuracies[1]), stats.sign_flip_p((counts[0] - counts[1]).astype(float))
    )


def test_for_many_seeds_the_sign_flip_test_draws_the_same_random_signs_each_time():
    d = np.random.default_rng(3).normal(0.4, 1, 30)
    p = float(stats.sign_flip_p(d))
    assert p == float(stats.sign_flip_p(d))
    assert p == pytest.approx(scipy_stats.ttest_1samp(d, 0).pvalue, abs=0.01)


def test_13_seeds_try_all_signs_and_14_draw_9999_beside_their_own():
    assert stats.sign_flip_p(np.ones(13)) == 2 / 2**13
    p = float(stats.sign_flip_p(np.arange(1.0, 15.0) - 4))
    assert p * 10_000 == pytest.approx(round(p * 10_000), abs=1e-9)
    assert stats.sign_flip_p(np.full(40, 1.0)) == 1 / 10_000


def test_no_difference_at_all_is_no_evidence():
    assert stats.sign_flip_p(np.zeros(8)) == 1.0
    np.testing.assert_array_equal(stats.bootstrap_interval(np.zeros((2, 5))), np.zeros((2, 2)))
    assert stats.effect_size(np.zeros(8)) is None
    np.testing.assert_array_equal(stats.bootstrap_interval(np.full(5, 0.25)), [0.25, 0.25])


def test_the_bootstrap_interval_is_scipys(simulated):
    d = simulated[0]
    expected = scipy_stats.bootstrap((d,), np.mean, rng=7).confidence_interval
    np.testing.assert_allclose(stats.bootstrap_interval(d, seed=7), expected, atol=0.02)
    np.testing.assert_array_equal(stats.bootstrap_interval(d), stats.bootstrap_interval(d))
    accuracies = 0.98 + d / 1000  # which differ by little, but by more than rounding
    np.testing.assert_allclose((stats.bootstrap_interval(accuracies, seed=7) - 0.98) * 1000, expected, atol=0.02)


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.9], [0.2], [0.01, 0.01, 0.01]], ids=str)
def test_holm_is_that_of_statsmodels(p):
    np.testing.assert_allclose(stats.holm(p), multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize("counts", [(3, 12), (0, 5), (7, 7), (0, 0), (40, 21), (12, 5)], ids=str)
def test_mcnemar_is_that_of_statsmodels(counts):
    expected = contingency_tables.mcnemar([[50, counts[0]], [counts[1], 9]], exact=True).pvalue if sum(counts) else 1.0
    assert stats.mcnemar_p(*counts) == pytest.approx(min(expected, 1.0))


def seen(effect, seeds, level=0.05):
    """How often the sign-flip test sees an effect, of 1,000 simulated studies."""
    d = np.random.default_rng(7).normal(effect, 1.0, (1_000, seeds))
    return float(np.mean(stats.sign_flip_p(d) <= level))


@pytest.mark.parametrize("level", [0.05, 0.05 / 8])
@pytest.mark.parametrize("effect", [0.9, 1.5])
def test_the_needed_seeds_detect_the_difference_with_80_percent_power_and_fewer_do_not(effect, level):
    found = stats.seeds_needed(effect * 0.04, 0.04, level=level)
    assert found is not None
    assert seen(effect, found, level) >= 0.76
    assert found == stats.fewest_seeds(level) or seen(effect, found - 1, level) <= 0.84
    assert stats.seeds_needed(-effect * 0.04, 0.04, level=level) == found


@pytest.mark.parametrize("effect", [0.2, 0.5])
def test_many_seeds_are_those_of_the_t_test_of_statsmodels(effect):
    found = stats.seeds_needed(effect, 1.0)
    assert found is not None
    assert TTestPower().power(effect, found, 0.05) >= 0.8 > TTestPower().power(effect, found - 1, 0.05)


@pytest.mark.parametrize(("seeds", "comparisons"), [(6, 1), (8, 5), (10, 9), (10, 16)])
def test_the_smallest_visible_difference_is_detected_with_80_percent_power(seeds, comparisons):
    level = 0.05 / comparisons
    found = stats.smallest_visible(1.0, seeds, level=level)
    assert found is not None
    assert seen(found, seeds, level) == pytest.approx(0.8, abs=0.04)
    assert stats.smallest_visible(0.04, seeds, level=level) == pytest.approx(0.04 * found)
    assert stats.smallest_visible(0.0, seeds, level=level) == 0.0


def test_for_13_seeds_it_is_almost_that_of_the_t_test():
    expected = TTestPower().solve_power(nobs=13, alpha=0.05, power=0.8)
    assert stats.smallest_visible(1.0, 13) == pytest.approx(expected, abs=0.03)  # of 2,000 studies, so 0.8 +- 0.02


def test_for_many_seeds_it_is_that_of_the_t_test():
    assert TTestPower().power(stats.smallest_visible(1.0, 30), 30, 0.05) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(("comparisons", "fewest"), [(1, 6), (2, 7), (5, 8), (6, 8), (8, 9), (16, 10)])
def test_too_few_seeds_cannot_detect_anything(comparisons, fewest):
    level = 0.05 / comparisons
    assert stats.fewest_seeds(level) == fewest
    assert stats.sign_flip_p(np.full(fewest, 1.0)) <= level < stats.sign_flip_p(np.full(fewest - 1, 1.0))
    assert stats.smallest_visible(1.0, fewest - 1, level=level) is None
    assert stats.seeds_needed(100.0, 1.0, level=level) == fewest


def test_the_number_of_seeds_at_the_edges():
    assert stats.seeds_needed(0.0, 0.1) is None
    assert stats.seeds_needed(1e-6, 1.0) is None  # more than 100,000
    assert stats.seeds_needed(0.1, 0.0) == 6
    assert stats.seeds_needed(100.0, 1.0, level=1e-6) == 21  # by the t test 14 would do, but their smallest p is 1e-4
    assert stats.fewest_seeds(2 / 2**5) == 5
    assert stats.seeds_needed(0.00887, 1.0) == pytest.approx(99_760, abs=50)
    assert stats.seeds_needed(0.00885, 1.0) is None


def test_the_smallest_difference_that_13_seeds_show_needs_13():
    assert stats.seeds_needed(stats.smallest_visible(1.0, 13), 1.0) == 13


def test_the_error_of_the_test_set_is_what_other_test_sets_show():
    rng = np.random.default_rng(5)
    chance = np.array([0.004, 0.990, 0.006])  # of an example: right by the baseline alone, by both or none, by one
    many = rng.choice([-1, 0, 1], p=chance, size=(1_000, 2_000))
    found = np.mean([stats.test_set_error(hits) for hits in many])
    assert found == pytest.approx(np.std(many.mean(1)), rel=0.05)


def test_the_error_of_a_few_test_examples_is_that_of_their_mean():
    hits = np.array([1.0, 0.0, -1.0, 1.0])
    assert stats.test_set_error(hits) == pytest.approx(scipy_stats.sem(hits), rel=1e-12)


def test_the_effect_size_is_cohens_d():
    d = np.array([0.1, 0.3, 0.2, 0.6])
    assert stats.effect_size(d) == pytest.approx(0.3 / np.std(d, ddof=1))


def test_differences_that_are_equal_but_for_rounding_have_no_effect_size():
    """Accuracies are multiples of 1 / N: of two variants that always differ by 20 examples, the differences differ in
    the last bit."""
    chance = np.random.default_rng(0)
    for _ in range(3_000):
        base, more = chance.integers(9_000, 9_900, 10), chance.integers(1, 60)
        d = (base + more) / 10_000 - base / 10_000
        assert stats.effect_size(d) is None
        assert stats.spread(d) == 0.0
    ends = stats.bootstrap_interval(d)
    assert ends == pytest.approx([more / 10_000, more / 10_000])
    assert stats.effect_size(d + [0.0001, *[0.0] * 9]) is not None  # one example is no rounding
