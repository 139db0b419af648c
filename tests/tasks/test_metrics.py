"""Metrics against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from hwr_jax.core.types import Outputs
from hwr_jax.tasks import metrics


def draw(seed, n=400, classes=7, missing=False):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes - (2 if missing else 0), n).astype(np.int32)
    logits = generator.standard_normal((n, classes)) + 1.5 * np.eye(classes)[label]
    if missing:
        logits[:, -1] = -50
    prob = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    loss = -np.log(prob[np.arange(n), label])
    prob32 = prob.astype(np.float32)
    return label, Outputs(loss.astype(np.float32), prob.argmax(-1).astype(np.int32), prob32, prob32.max(-1))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_metric_equals_scikit_learn(seed, missing):
    label, outputs = draw(seed, missing=missing)
    found = metrics.evaluate(label, outputs)
    macro = sk.precision_recall_fscore_support(label, outputs.pred, average="macro", zero_division=0)
    each = sk.precision_recall_fscore_support(label, outputs.pred, labels=range(7), zero_division=0)
    assert found["accuracy"] == sk.accuracy_score(label, outputs.pred)
    assert found["error_count"] == int((label != outputs.pred).sum())
    np.testing.assert_allclose([found[f"{n}_macro"] for n in ("precision", "recall", "f1")], macro[:3], rtol=1e-12)
    for name, expected in zip(("precision", "recall", "f1", "support"), each, strict=True):
        np.testing.assert_allclose(found["per_class"][name], expected, rtol=1e-12)
    np.testing.assert_array_equal(found["confusion"], sk.confusion_matrix(label, outputs.pred, labels=range(7)))
    prob = outputs.prob.astype(np.float64)
    expected = sk.log_loss(label, prob / prob.sum(-1, keepdims=True), labels=range(7))
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_calibration_error_equals_that_of_scikit_learns_bins(seed):
    label, outputs = draw(seed)
    confidence = outputs.prob.max(-1).astype(np.float64)
    correct = np.random.default_rng(seed).random(400) < 0.6  # too sure in some bins, not sure enough in others
    share, mean = calibration_curve(correct, confidence, n_bins=15, strategy="uniform")
    count = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    expected = (np.abs(share - mean) * count[count > 0]).sum() / len(label)
    np.testing.assert_allclose(metrics.expected_calibration_error(outputs.confidence, correct), expected, rtol=1e-9)


def test_calibration_error_of_a_sure_and_always_right_model_is_zero():
    assert metrics.expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0.0
    assert metrics.expected_calibration_error(np.ones(4), np.zeros(4, bool)) == 1.0


def test_a_bin_has_its_right_end_and_the_last_one_what_rounding_puts_above_1():
    confidence = np.array([0.0, 1 / 4, 0.26, 3 / 4, 1.0, 1.0000001])
    assert metrics.bin_of(confidence, 4).tolist() == [0, 0, 1, 2, 3, 3]


def test_the_means_over_classes_count_those_that_are_only_read_or_only_written():
    label, pred = np.array([0, 0, 1, 2, 5]), np.array([0, 0, 1, 1, 3])
    ones = np.ones(5, np.float32)
    found = metrics.evaluate(label, Outputs(ones, pred, np.zeros((5, 7), np.float32), ones))
    expected = sk.precision_recall_fscore_support(label, pred, average="macro", zero_division=0)
    np.testing.assert_allclose([found[f"{n}_macro"] for n in ("precision", "recall", "f1")], expected[:3], rtol=1e-12)


def test_what_a_metric_can_be():
    found = {name: metrics.possible(name, 20) for name in ("accuracy", "ece", "error_count", "loss", "cer")}
    infinite = (0.0, np.inf)
    assert found == {
        "accuracy": (0.0, 1.0),
        "ece": (0.0, 1.0),
        "error_count": (0.0, 20),
        "loss": infinite,
        "cer": infinite,
    }


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_no_metric_is_ever_nan(pairs):
    label, pred = (np.array(x, np.int32) for x in zip(*pairs, strict=True))
    ones = np.ones(len(label), np.float32)
    found = metrics.evaluate(label, Outputs(ones, pred, np.eye(4, dtype=np.float32)[pred], ones))
    assert all(np.isfinite(found[name]) for name in metrics.SCALARS if name != "cer")
    assert sum(map(sum, found["confusion"])) == len(label)


def levenshtein(a, b):
    """By its recursive definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(levenshtein(a[1:], b) + 1, levenshtein(a, b[1:]) + 1, levenshtein(a[1:], b[1:]) + (a[0] != b[0]))


def rows(strings, width):
    return np.array([[*s, *[-1] * (width - len(s))] for s in strings], np.int32)


STRING = st.lists(st.integers(0, 2), max_size=4)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(STRING, STRING), min_size=1, max_size=8))
def test_the_edit_distance_is_that_of_its_definition(pairs):
    pred, label = (rows(strings, width) for strings, width in zip(zip(*pairs, strict=True), (6, 4), strict=True))
    assert metrics.edit_distance(pred, label).tolist() == [levenshtein(a, b) for a, b in pairs]
    assert metrics.right(pred, label).tolist() == [a == b for a, b in pairs]


@pytest.mark.parametrize("more", [[0], [1], [2, 0]], ids=str)
def test_a_string_that_goes_on_is_another_one(more):
    short, long = rows([[1, 2]], 2), rows([[1, 2, *more]], 5)
    assert not metrics.right(short, long).any()
    assert not metrics.right(long, short).any()
    assert metrics.right(short, rows([[1, 2]], 5)).all()
    assert metrics.right(rows([[1, 2]], 5), short).all()


def test_a_label_has_a_name_and_a_string_its_letters():
    classes = ("a", "b", "c")
    assert metrics.text(np.array(1), classes) == "b"
    assert metrics.text(np.array([2, 0, -1, -1]), classes) == "ca"


def test_the_metrics_of_strings_by_hand():
    label = rows([[1, 2, 3], [4], [4], [5, 5]], 3)
    pred = rows([[1, 2, 3], [4, 4], [4], []], 5)
    confidence = np.array([1.0, 1.0, 1.0, 0.0], np.float32)
    found = metrics.evaluate(label, Outputs(np.full(4, 0.5), pred, np.zeros((4, 5, 7)), confidence))
    assert (found["accuracy"], found["error_count"], found["loss"]) == (0.5, 2, 0.5)
    assert found["cer"] == 3 / 7  # one inserted, two deleted
    assert found["per_length"] == {"length": [1, 2, 3], "examples": [2, 1, 1], "accuracy": [0.5, 0.0, 1.0]}
    assert found["ece"] == pytest.approx((abs(2 - 3) + 0) / 4)
