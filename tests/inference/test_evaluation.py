"""Evaluation over seeds: the two votes of the ensemble."""

import numpy as np
import pytest

from hwr_jax.core.types import Arrays, Outputs
from hwr_jax.inference import evaluation


def outputs(*prob):
    prob = np.array(prob, np.float32)
    return Outputs(np.zeros(len(prob), np.float32), prob.argmax(-1).astype(np.int32), prob, prob.max(-1))


SURE, LEANING = [0.0, 0.0, 1.0], [0.5, 0.2, 0.3]


def test_the_two_votes_differ_when_one_sure_seed_stands_against_two():
    arrays = Arrays(np.zeros((2, 28, 28, 1), np.uint8), np.array([0, 2], np.int32))
    seeds = [outputs(SURE, SURE), outputs(LEANING, SURE), outputs([0.45, 0.25, 0.3], LEANING)]
    # Image 0: two of three name class 0, the mean is highest for class 2; image 1: both say 2.
    assert evaluation.ensemble(arrays, seeds) == {"mean_probability": 0.5, "majority": 1.0}


@pytest.mark.parametrize(("label", "right"), [(2, 1.0), (0, 0.0)])
def test_a_tie_of_votes_goes_to_the_higher_mean_probability(label, right):
    arrays = Arrays(np.zeros((1, 28, 28, 1), np.uint8), np.array([label], np.int32))
    found = evaluation.ensemble(arrays, [outputs(SURE), outputs(LEANING)])
    assert found == {"mean_probability": right, "majority": right}


def test_one_seed_is_not_an_ensemble():
    arrays = Arrays(np.zeros((1, 28, 28, 1), np.uint8), np.array([0], np.int32))
    assert evaluation.ensemble(arrays, [outputs(SURE)]) is None


def test_for_strings_the_majority_wins_and_a_tie_goes_to_the_surest_seed():
    label = np.array([[1, -1], [2, 3], [4, -1]], np.int32)
    arrays = Arrays(np.zeros((3, 32, 64, 1), np.uint8), label)

    def seed(*strings, sure):
        pred = np.array([[*s, *[-1] * (4 - len(s))] for s in strings], np.int32)
        return Outputs(np.zeros(3), pred, np.zeros((3, 4, 6)), np.array(sure))

    three = [
        seed([1], [2], [], sure=[0.1, 0.5, 0.5]),
        seed([1], [2, 3], [4], sure=[0.1, 0.9, 0.4]),
        seed([], [3], [4, 4], sure=[0.9, 0.8, 0.3]),
    ]
    # Two votes against a surer one; the surest of three; wrong, because the surest seed read nothing.
    assert evaluation.ensemble(arrays, three) == {"majority": pytest.approx(2 / 3)}
