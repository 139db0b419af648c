"""Balanced sampling: the frequencies of the classes, what decides a draw, and that a rare class is learnt."""

import jax
import numpy as np
import pytest

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.steps import balanced, train_step
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.steps.run import compile_training, make_run, on_device
from hwr_jax.training import feeding

COUNTS = (1, 0, 200, 30, 0, 7)  # examples of each class; two have none
MLP = {"model__name": "mlp", "model__hidden": (16,), "model__dropout": 0.0}


@pytest.fixture(scope="module")
def label():
    return np.random.default_rng(0).permutation(np.repeat(np.arange(6, dtype=np.int32), COUNTS))


def orders(programs, run, epoch=0):
    return np.asarray(programs.order(*run.order_arguments(epoch)))


def test_the_rows_of_a_class_lie_side_by_side(label):
    found = balanced.group(label, 6)
    assert found.present == 4
    for first, count in zip(found.first[:4], found.count[:4], strict=True):
        rows = found.rows[first : first + count]
        np.testing.assert_array_equal(rows, np.flatnonzero(label == label[rows[0]]))
    assert sorted(found.count.tolist()) == sorted(COUNTS)


def test_every_class_is_equally_frequent_and_so_is_every_example_of_it(label):
    rows = np.asarray(balanced.draw(jax.random.key(1), balanced.group(label, 6), (1000, 64)))
    drawn = rows.size
    for k, count in enumerate(COUNTS):
        expected = drawn / 4 if count else 0
        found = np.sum(label[rows] == k)
        assert abs(found - expected) < 5 * np.sqrt(drawn * 0.25 * 0.75), k
        each = np.bincount(rows.ravel(), minlength=label.size)[label == k]
        if count > 1:  # against the chi-square distribution: mean count - 1, variance twice that
            square = np.sum((each - found / count) ** 2 / (found / count))
            assert abs(square - (count - 1)) < 5 * np.sqrt(2 * (count - 1)), k
    neighbours = label[rows[:, 0]] == label[rows[:, 1]]
    assert abs(neighbours.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 1000)  # the draws of a batch are independent


def test_an_order_is_decided_by_seed_and_epoch_alone(smoke, digits):
    run = make_run(smoke(data__balanced=True, seeds=3, **MLP), digits, devices=1)
    first, again, second = (orders(run.programs, run, epoch) for epoch in (0, 0, 1))
    assert first.shape == (3, run.recipe.steps_per_epoch, run.recipe.batch_size)
    assert first.dtype == np.int32
    np.testing.assert_array_equal(first, again)
    others = [first[1], first[2], second[0]]
    assert not any(np.array_equal(first[0], other) for other in others)
    by_class = balanced.group(np.asarray(digits.train.label), 10)
    for seed in range(3):
        alone = train_step.epoch_order(run.recipe, seed, 0, len(digits.train.label), by_class)
        np.testing.assert_array_equal(first[seed], alone)


def test_the_order_is_the_same_for_any_devices_and_way_over_seeds(smoke, digits):
    def order(how, devices, groups):
        made = smoke(data__balanced=True, seeds=4, over_seeds=how, **MLP)
        run = make_run(made, digits, devices=devices, seed_groups=groups)
        return orders(run.programs, run)

    alone = order("map", 1, 1)
    for other in (("map", 4, 2), ("vmap", 4, 4)):
        np.testing.assert_array_equal(order(*other), alone)


def test_the_default_is_the_permutation_that_it_was(smoke, digits):
    run = make_run(smoke(**MLP), digits, devices=1)
    assert run.by_class is None
    found = orders(run.programs, run, 2)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), 1), 2)
    expected = np.asarray(jax.random.permutation(key, len(digits.train.label)))
    np.testing.assert_array_equal(found.ravel(), expected[: found.size])
    assert len(run.order_arguments(2)) == 2  # the program has no further argument


def rare(digits, *, left=15, which=8):
    """The digits with all but a few training examples of one class removed."""
    label = np.asarray(digits.train.label)
    keep = np.ones(label.size, bool)
    keep[np.flatnonzero(label == which)[left:]] = False
    return digits._replace(train=Arrays(np.asarray(digits.train.image)[keep], label[keep]))


def recall(config, dataset, *, which=8, epochs=6):
    run = make_run(config, dataset, devices=1)
    programs, _ = compile_training(run)
    state = programs.init(run.seed_array())
    start_epoch = feeding.make(run, programs)
    for epoch in range(epochs):
        train = start_epoch(programs.order(*run.order_arguments(epoch)), 0)
        done = 0
        while done < run.recipe.steps_per_epoch:
            count = min(run.plan.steps_per_dispatch, run.recipe.steps_per_epoch - done)
            state, done = train(state, count), done + count
    test = dataset.test
    outputs = run.programs.predict(state.params, state.model_state, on_device(run, test))
    label = np.asarray(test.label)
    right = np.asarray(outputs.pred)[0] == label
    return right[label == which].mean(), right.mean(), state


def test_a_rare_class_is_learnt_better_and_streaming_changes_no_bit(smoke, digits):
    few = rare(digits)
    options = {"schedule__name": "constant", "optim__learning_rate": 3e-3, **MLP, "model__hidden": (32,)}
    without, _, _ = recall(smoke(**options), few)
    found, accuracy, state = recall(smoke(data__balanced=True, **options), few)
    assert found > without + 0.4
    assert accuracy > 0.8
    _, _, streamed = recall(smoke(data__balanced=True, data__stream=True, **options), few)
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(streamed.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_network_from_scratch_draws_the_same_rows(smoke, digits):
    made = configs.load("configs/scratch.py:smoke", {"data.balanced": True, "batch_size": 32, "data.name": "digits"})
    run = make_run(made, digits, devices=1)
    other = make_run(smoke(data__balanced=True, **MLP), digits, devices=1)
    np.testing.assert_array_equal(orders(run.programs, run), orders(other.programs, other))


def test_strings_and_weights_on_top_are_refused(smoke):
    crnn = configs.load("configs/crnn.py", {"data.balanced": True})
    with pytest.raises(ConfigError, match="config.data.balanced=True is not for strings: use False"):
        make_recipe(crnn, examples=1000, classes=10, mean=0.1, std=0.3)
    with pytest.raises(ConfigError, match="would count rare classes twice: use one of them"):
        smoke(data__balanced=True, loss__class_weights="balanced")
