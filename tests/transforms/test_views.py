"""Test-time augmentation, against the definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.config import configs
from hwr_jax.steps import predict_step, train_step
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.transforms import views

IMAGE = jnp.asarray(np.random.default_rng(0).random((3, 6, 5, 1)), jnp.float32)
WEIGHTS = jnp.asarray(np.random.default_rng(1).standard_normal((30, 4)), jnp.float32)


def score(image):
    return jnp.reshape(image, (image.shape[0], -1)) @ WEIGHTS


@pytest.mark.parametrize("shift_px", [1, 2])
def test_it_is_the_mean_over_all_shifts(shift_px):
    expected = []
    for down in range(-shift_px, shift_px + 1):
        for right in range(-shift_px, shift_px + 1):
            moved = np.zeros(IMAGE.shape, np.float32)
            for y in range(6):
                for x in range(5):
                    if 0 <= y - down < 6 and 0 <= x - right < 5:
                        moved[:, y, x] = IMAGE[:, y - down, x - right]
            logits = np.float64(moved.reshape(3, -1) @ WEIGHTS)
            expected.append(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))
    found = views.mean_log_probability(score, IMAGE, shift_px=shift_px)
    np.testing.assert_allclose(found, np.mean(expected, 0), rtol=1e-5, atol=1e-5)


def test_no_shift_is_the_network_itself():
    np.testing.assert_array_equal(views.mean_log_probability(score, IMAGE, shift_px=0), score(IMAGE))


def test_prediction_and_loss_are_of_the_average(smoke, digits, initial):
    few = jax.tree.map(lambda x: jnp.asarray(x[:7]), digits.test)
    facts = {"examples": 1000, "classes": 10, "mean": digits.mean, "std": digits.std}
    outputs = {}
    for shift_px in (0, 1):
        recipe = make_recipe(smoke(eval__shift_px=shift_px), **facts)
        state = initial(recipe)
        predict = jax.jit(functools.partial(predict_step.predict, recipe, batch_size=3))
        outputs[shift_px] = predict(state.params, state.model_state, few)

    @jax.jit
    def logits(image):
        image = jnp.asarray(image, jnp.float32) / 255
        return recipe.model.apply({"params": state.params}, train_step.standardise(recipe, image), train=False)[0]

    padded = np.pad(few.image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [padded[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)]
    mean = np.mean([jax.nn.log_softmax(logits(image)) for image in shifts], 0)
    prob = np.exp(mean) / np.exp(mean).sum(-1, keepdims=True)
    np.testing.assert_allclose(outputs[1].prob, prob, atol=1e-5)
    np.testing.assert_array_equal(outputs[1].pred, prob.argmax(-1))
    np.testing.assert_allclose(outputs[1].loss, -np.log(prob[np.arange(7), few.label]), rtol=1e-4)
    np.testing.assert_allclose(outputs[0].prob, jax.nn.softmax(logits(few.image)), atol=1e-5)
    assert np.abs(outputs[1].prob - outputs[0].prob).max() > 1e-3


def test_strings_are_read_as_they_are():
    config = configs.load("configs/crnn.py:smoke", {"eval.shift_px": 1})
    with pytest.raises(ValueError, match="config.eval.shift_px=1 is not for strings: use 0"):
        make_recipe(config, examples=1000, classes=10, mean=0.1, std=0.3)
