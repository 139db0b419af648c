"""The curves of a confidence agree with the numbers that summarise them."""

import numpy as np
import pytest

from hwr_jax.tasks import metrics, reliability, selective


@pytest.fixture
def outcomes():
    """Confidences float32 [N], many of them equal, and whether each is right bool [N]."""
    draw = np.random.default_rng(0)
    confidence = draw.choice(np.linspace(0.1, 1, 40), 3000).astype(np.float32)
    return confidence, draw.random(3000) < confidence**2


@pytest.mark.parametrize("count", [1, 7, 15])
def test_the_gaps_of_the_bins_are_the_expected_calibration_error(outcomes, count):
    found = reliability.bins(*outcomes, count=count)
    gap = np.abs(found.accuracy - found.confidence) @ found.count / found.count.sum()
    assert gap == pytest.approx(metrics.expected_calibration_error(*outcomes, bins=count), abs=1e-9)
    assert found.count.sum() == 3000
    assert (np.diff(found.confidence) > 0).all()


def test_empty_bins_are_left_out_and_a_bin_has_its_right_end():
    found = reliability.bins(np.array([0.5, 0.5, 1.0]), np.array([True, False, True]), count=2)
    assert found.count.tolist() == [2, 1]
    assert found.accuracy.tolist() == [0.5, 1.0]
    assert reliability.bins(np.array([0.95]), np.array([False])).count.tolist() == [1]


def test_the_mean_of_the_risk_is_the_area_under_its_curve(outcomes):
    risk = selective.risk_coverage(*outcomes)
    assert risk.mean() == pytest.approx(selective.aurc(*outcomes))
    assert risk[-1] == pytest.approx(1 - outcomes[1].mean())


def test_the_risk_of_distinct_confidences_is_that_of_the_surest():
    confidence, correct = np.array([0.2, 0.9, 0.5, 0.7]), np.array([False, True, True, False])
    np.testing.assert_allclose(selective.risk_coverage(confidence, correct), [0, 1 / 2, 1 / 3, 1 / 2])


def test_examples_of_equal_confidence_count_as_in_random_order():
    np.testing.assert_allclose(selective.risk_coverage(np.ones(4), np.array([True, False, False, True])), [0.5] * 4)
