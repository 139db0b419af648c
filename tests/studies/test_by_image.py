"""Differences over the test images: against closed forms, against McNemar's test, and over many drawn test sets."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from hwr_jax.core import stats
from hwr_jax.studies import by_image


def record(seed, errors, *, images=500, test="t"):
    return {"seed": seed, "test_errors": list(errors), "test_sha256": test, "dataset": {"examples": {"test": images}}}


def only(found):
    (one,) = found.values()
    return one


PAIR = [("own", "base")]


def test_one_seed_is_tested_by_mcnemar_and_counted_image_by_image():
    own, base = [record(0, [1, 2, 3, 9])], [record(0, [3, *range(10, 22)])]
    found = only(by_image.against({"own": own, "base": base}, PAIR))
    assert (found.gained, found.lost, found.images, found.seeds, found.paired_by_seed) == (12, 3, 500, (1, 1), True)
    assert found.p == found.p_holm == stats.mcnemar_p(12, 3) == 0.03515625
    assert found.mean == pytest.approx((12 - 3) / 500)
    error = np.sqrt((15 / 500 - found.mean**2) / 499)  # of d in {-1, 0, 1}
    half = scipy_stats.t.ppf(0.975, 499) * error
    assert found.t == pytest.approx((found.mean - half, found.mean + half))


def test_several_seeds_are_averaged_image_by_image_before_the_test():
    own = [record(0, [0]), record(1, [1])]
    base = [record(0, [0, 1, 2]), record(1, [2, 3])]
    each = by_image.hits(own, base)
    assert each[:5].tolist() == [0.0, 0.0, 1.0, 0.5, 0.0]  # image 1: right once by each
    found = only(by_image.against({"own": own, "base": base}, PAIR))
    assert (found.gained, found.lost, found.seeds) == (2, 0, (2, 2))
    assert found.p == pytest.approx(scipy_stats.ttest_1samp(each, 0).pvalue)
    assert (found.p < 0.05) == (found.t[0] > 0)  # the interval and the test are of one kind


def test_the_seeds_that_both_have_are_compared_and_without_any_all_are():
    own = [record(1, []), record(0, [5])]
    base = [record(s, [7]) for s in (0, 1, 2)]
    first, second = by_image.common(own, base)
    assert [r["seed"] for r in first] == [r["seed"] for r in second] == [0, 1]
    apart = [record(s, [7]) for s in (3, 4, 5)]
    found = only(by_image.against({"own": own, "base": apart}, PAIR))
    assert found.seeds == (2, 3)
    assert not found.paired_by_seed
    assert found.mean == pytest.approx((1 - 0.5) / 500)


def test_equal_outcomes_have_no_difference_and_opposite_ones_the_largest():
    same = only(
        by_image.against({"own": [record(0, [1]), record(1, [2])], "base": [record(0, [1]), record(1, [2])]}, PAIR)
    )
    assert (same.mean, same.t, same.p) == (0.0, (0.0, 0.0), 1.0)
    alone = only(by_image.against({"own": [record(0, [4])], "base": [record(0, [4])]}, PAIR))
    assert alone.p == 1.0
    wrong = [record(s, range(20), images=20) for s in (0, 1)]
    right = [record(s, [], images=20) for s in (0, 1)]
    assert only(by_image.against({"own": right, "base": wrong}, PAIR)).p == 0.0


def test_p_is_corrected_for_the_pairs_that_are_tested():
    runs = {"base": [record(0, range(9))], "a": [record(0, [])], "b": [record(0, [1])], "c": [record(0, [], test="u")]}
    found = by_image.against(runs, [("a", "base"), ("b", "base"), ("c", "base")])
    assert list(found) == [("a", "base"), ("b", "base")]  # c was tested on other images
    assert found["a", "base"].p_holm == pytest.approx(2 * found["a", "base"].p)
    assert by_image.against({"own": [{"seed": 0, "test_sha256": "t"}], "base": runs["base"]}, PAIR) == {}


def test_of_a_single_test_image_there_is_no_chance_to_speak_of():
    runs = {"own": [record(0, [], images=1)], "base": [record(0, [0], images=1)]}
    assert by_image.against(runs, PAIR) == {}
    assert not by_image.comparable(runs["own"])


@pytest.mark.parametrize(("images", "lowest", "highest"), [(400, 0.90, 0.94), (4_000, 0.935, 0.965)])
def test_the_interval_covers_the_true_difference_of_drawn_test_sets(images, lowest, highest):
    """1,000 test sets of two classifiers that err together, and differ on 2.5 % of the images: of 400 they are too few
    for Student's interval."""
    chance, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        hard = chance.random(images)
        wrong = (np.flatnonzero(hard + 0.02 * chance.random(images) < share) for share in (0.06, 0.08))
        own, base = ([record(0, errors, images=images)] for errors in wrong)
        low, high = only(by_image.against({"own": own, "base": base}, PAIR)).t
        covered += low <= 0.02 <= high
    assert lowest <= covered / 1000 <= highest
