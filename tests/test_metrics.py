"""Metrics against scikit-learn, and statistics against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from hwr_jax import metrics, stats
from hwr_jax.types import Outputs


def draw(seed, n=400, classes=7, missing=False):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes - (2 if missing else 0), n).astype(np.int32)
    logits = generator.standard_normal((n, classes)) + 1.5 * np.eye(classes)[label]
    if missing:
        logits[:, -1] = -50
    prob = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    loss = -np.log(prob[np.arange(n), label])
    return label, Outputs(loss.astype(np.float32), prob.argmax(-1).astype(np.int32), prob.astype(np.float32))


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
    correct, confidence = outputs.pred == label, outputs.prob.max(-1).astype(np.float64)
    share, mean = calibration_curve(correct, confidence, n_bins=15, strategy="uniform")
    count = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    expected = (np.abs(share - mean) * count[count > 0]).sum() / len(label)
    np.testing.assert_allclose(metrics.expected_calibration_error(outputs.prob, correct), expected, rtol=1e-9)


def test_calibration_error_of_a_sure_and_always_right_model_is_zero():
    assert metrics.expected_calibration_error(np.eye(3)[[0, 1, 2, 1]], np.ones(4, bool)) == 0.0
    assert metrics.expected_calibration_error(np.eye(3)[[0, 1, 2, 1]], np.zeros(4, bool)) == 1.0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_no_metric_is_ever_nan(pairs):
    label, pred = (np.array(x, np.int32) for x in zip(*pairs, strict=True))
    outputs = Outputs(np.ones(len(label), np.float32), pred, np.eye(4, dtype=np.float32)[pred])
    found = metrics.evaluate(label, outputs)
    assert all(np.isfinite(found[name]) for name in metrics.SCALARS)
    assert sum(map(sum, found["confusion"])) == len(label)


def test_the_interval_over_seeds_is_students():
    values = [0.991, 0.993, 0.9925, 0.994]
    found = stats.summarise(values)
    expected = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    np.testing.assert_allclose(found["ci95"], expected, rtol=1e-12)
    np.testing.assert_allclose([found["mean"], found["std"]], [np.mean(values), np.std(values, ddof=1)], rtol=1e-12)
    assert found["per_seed"] == values


def test_one_seed_has_no_interval():
    assert stats.summarise([0.99, 0.90], within=(0.0, 1.0))["ci95"] == [pytest.approx(0.945 - 12.7062 * 0.045), 1.0]
    assert stats.summarise([0.5]) == {"mean": 0.5, "std": None, "ci95": None, "per_seed": [0.5]}
