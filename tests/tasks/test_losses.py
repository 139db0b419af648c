"""Cross-entropy, against its closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hwr_jax.tasks import losses

LOGITS = jnp.asarray(np.random.default_rng(0).standard_normal((5, 4)) * 3, jnp.float32)
LABEL = jnp.array([0, 3, 1, 1, 2])


def test_it_is_the_negative_log_of_the_label_probability():
    p = np.exp(np.float64(LOGITS)) / np.exp(np.float64(LOGITS)).sum(-1, keepdims=True)
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, LABEL), -np.log(p[np.arange(5), LABEL]), rtol=1e-5)


def test_it_equals_the_integer_label_form_with_its_gradient():
    def ours(x):
        return losses.cross_entropy(x, LABEL).sum()

    def theirs(x):
        return optax.softmax_cross_entropy_with_integer_labels(x, LABEL).sum()

    np.testing.assert_allclose(jax.grad(ours)(LOGITS), jax.grad(theirs)(LOGITS), atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothing_mixes_with_the_mean_over_all_classes(smoothing):
    plain = losses.cross_entropy(LOGITS, LABEL)
    uniform = -jax.nn.log_softmax(LOGITS).mean(-1)
    expected = (1 - smoothing) * plain + smoothing * uniform
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, LABEL, smoothing=smoothing), expected, rtol=1e-5)


def test_large_logits_overflow_nothing():
    loss = losses.cross_entropy(jnp.array([[1e4, -1e4], [-1e4, 1e4]]), jnp.array([0, 0]))
    np.testing.assert_allclose(loss, [0, 2e4])


def test_balanced_weights_make_every_class_count_alike():
    counts = np.array([90, 9, 1, 0])
    weights = np.array(losses.balanced_weights(counts))
    np.testing.assert_allclose((weights * counts)[:3], 100 / 3)
    assert weights[3] == 0
    np.testing.assert_allclose((weights * counts).sum() / counts.sum(), 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_weight_multiplies_the_loss_of_its_class(smoothing):
    weights = (0.5, 1.0, 2.0, 4.0)
    plain = losses.cross_entropy(LOGITS, LABEL, smoothing=smoothing)
    found = losses.cross_entropy(LOGITS, LABEL, smoothing=smoothing, weights=weights)
    np.testing.assert_allclose(found, plain * np.array(weights)[np.asarray(LABEL)], rtol=1e-6)
