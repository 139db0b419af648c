"""Averages of the weights: their formulas against NumPy, and that they are what is evaluated and kept."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from hwr_jax.core.types import Arrays
from hwr_jax.inference import evaluation
from hwr_jax.optim import averages
from hwr_jax.steps import train_step
from hwr_jax.steps.recipe import make_recipe

TOTAL = 8
SMALL = {"model__name": "mlp", "model__hidden": (16,), "model__norm": "batch"}


def run(values, **config):
    """The averages after each of the values, which are the weights of step 0, 1, ..."""
    average = averages.make_average(ConfigDict({"start": 0.0, "decay": 0.9, **config}), total_steps=TOTAL)
    kept, out = {"w": jnp.float32(99)}, []
    for step, value in enumerate(values):
        kept = average(jnp.int32(step), kept, {"w": jnp.float32(value)})
        out.append(float(kept["w"]))
    return out


def test_swa_is_the_mean_of_all_steps_after_the_start():
    values = [5.0, 1, 4, 2, 8, 3, 7, 6]
    assert run(values, name="swa") == pytest.approx([np.mean(values[: i + 1]) for i in range(TOTAL)], rel=1e-6)
    late = run(values, name="swa", start=0.5)
    assert late[:5] == values[:5]
    assert late[5:] == pytest.approx([np.mean(values[4 : i + 1]) for i in range(5, TOTAL)], rel=1e-6)


def test_ema_is_a_mean_first_and_then_forgets_by_decay():
    values = [5.0, 1, 4, 2, 8, 3, 7, 6]
    expected = values[0]
    for i, (value, got) in enumerate(zip(values, run(values, name="ema", decay=0.75), strict=True)):
        share = max(0.25, 1 / (i + 1))
        expected = (1 - share) * expected + share * value
        assert got == pytest.approx(expected, rel=1e-6)


def test_an_ema_that_forgets_everything_is_the_last_step():
    values = [5.0, 1, 4]
    assert run(values, name="ema", decay=0.0) == values


@pytest.fixture(scope="module")
def few(digits):
    """64 training images on the device."""
    return Arrays(jnp.asarray(digits.train.image[:64]), jnp.asarray(digits.train.label[:64]))


def training(smoke, few, initial, **values):
    """A function: number of steps -> state."""
    config = smoke(batch_size=16, epochs=1, **SMALL, **values)
    recipe = make_recipe(config, examples=64, classes=10, mean=0.13, std=0.31)
    start = initial(recipe)

    @jax.jit
    def trained(start, count):
        order = train_step.epoch_order(recipe, jnp.int32(0), jnp.int32(0), 64)
        return train_step.train_steps(recipe, start, few, order, count)

    return functools.partial(trained, start)


def test_weights_and_batch_statistics_of_a_run_are_averaged_and_evaluated_and_the_training_does_not_change(
    smoke, few, initial, quick_jit
):
    plain = [*map(training(smoke, few, initial), range(1, 5))]
    averaged = training(smoke, few, initial, average__name="swa", average__start=0.25)(4)
    for a, b in zip(jax.tree.leaves(averaged.params), jax.tree.leaves(plain[-1].params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    params, model_state = evaluation.chosen(averaged, "last")
    expected = jax.tree.map(lambda *x: np.mean(x, axis=0), *((s.params, s.model_state) for s in plain[1:]))
    for a, b in zip(jax.tree.leaves((params, model_state)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    recipe = make_recipe(smoke(), examples=64, classes=10, mean=0.13, std=0.31)
    best = quick_jit(lambda state: train_step.end_epoch(recipe, state, jnp.float32(0.5)).best)(averaged)
    for a, b in zip(
        jax.tree.leaves((best.params, best.model_state)), jax.tree.leaves((params, model_state)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_without_an_average_the_last_step_is_evaluated(smoke, initial):
    recipe = make_recipe(smoke(), examples=1097, classes=10, mean=0.13, std=0.31)
    state = initial(recipe)
    assert state.average == {}
    assert train_step.evaluated(state) == (state.params, state.model_state)
