"""Risk and coverage: by hand, against the definition, and on confidences that are equal."""

import numpy as np
import pytest

from hwr_jax.tasks.selective import aurc, rejected_at


def test_aurc_is_the_mean_of_the_risks():
    confidence, correct = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert aurc(confidence, correct) == pytest.approx(np.mean([0, 1 / 2, 1 / 3, 2 / 4]))
    assert aurc(confidence, np.ones(4, bool)) == 0.0


def test_a_good_order_is_better_than_a_bad_one():
    correct = np.array([True] * 90 + [False] * 10)
    good, bad = np.linspace(1, 0, 100), np.linspace(0, 1, 100)
    assert aurc(good, correct) < 0.01 < aurc(bad, correct)


def test_equal_confidences_count_as_in_random_order():
    correct = np.random.default_rng(0).random(200) < 0.8
    assert aurc(np.full(200, 0.5), correct) == pytest.approx(1 - correct.mean())


def test_what_is_rejected_is_the_least_that_suffices():
    confidence, correct = np.linspace(1, 0.01, 100), np.ones(100, bool)
    correct[[95, 97, 99]] = False
    assert rejected_at(confidence, correct, 0.97) == (0.0, pytest.approx(0.01))
    share, level = rejected_at(confidence, correct, 0.999)
    assert share == pytest.approx(0.05)
    assert level == pytest.approx(confidence[94])
    accepted = confidence >= level
    assert correct[accepted].all()


def test_no_confidence_may_be_enough():
    assert rejected_at(np.array([0.9, 0.5]), np.array([False, True]), 0.999) == (1.0, float("inf"))
