"""Reading with weights that stay: the probabilities of `predict` to the bit, by programs that hold few weights."""

import jax
import numpy as np
import pytest

from hwr_jax.config import configs
from hwr_jax.core.types import Arrays
from hwr_jax.steps import compiled
from hwr_jax.steps.run import make_run


def run_of(config, digits, **overrides):
    run = make_run(configs.load(config, {"seeds": 2, **overrides}), digits, devices=1)
    return run, run.programs.init(run.seed_array())


def expected_of(run, state, images):
    labels = np.zeros(len(images), np.int32)
    return np.asarray(run.programs.predict(state.params, state.model_state, Arrays(images, labels)).prob)


@pytest.mark.parametrize("most", [0, 2**30])
def test_it_gives_the_probabilities_of_each_seed_to_the_bit(digits, monkeypatch, most):
    monkeypatch.setattr(compiled, "MOST_CONSTANTS", most)
    run, state = run_of("configs/resnet.py:smoke", digits)
    read = compiled.reader(run.programs, state.params, state.model_state, strings=False)
    for count in (1, 7):
        images = np.asarray(digits.test.image[:count])
        found = np.asarray(read(images))
        assert found.shape == (2, count, 10)
        np.testing.assert_array_equal(found, expected_of(run, state, images))


def test_few_weights_are_constants_of_the_program_and_many_are_not(digits, monkeypatch):
    run, state = run_of("configs/digits.py:smoke", digits)
    images = np.asarray(digits.test.image[:1])
    arguments = []
    jit = jax.jit

    def spy(function):
        jitted = jit(function)
        return lambda *args: (arguments.append(len(jax.tree.leaves(args))), jitted(*args))[1]

    monkeypatch.setattr(jax, "jit", spy)
    weights = len(jax.tree.leaves((state.params, state.model_state)))
    numbers = sum(x.size for x in jax.tree.leaves((state.params, state.model_state)))
    for most, backend in ((numbers, "cpu"), (numbers - 1, "cpu"), (numbers, "gpu")):
        monkeypatch.setattr(compiled, "MOST_CONSTANTS", most)
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        read = compiled.reader(run.programs, state.params, state.model_state, strings=False)
        monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
        read(images)
    assert arguments == [1, 1 + weights, 1 + weights]


def test_the_network_from_scratch_reads_too(digits):
    run, state = run_of("configs/scratch.py:smoke", digits)
    images = np.asarray(digits.test.image[:3])
    read = compiled.reader(run.programs, state.params, state.model_state, strings=False)
    np.testing.assert_array_equal(read(images), expected_of(run, state, images))


@pytest.mark.parametrize(("examples", "size"), [(3, 3), (20, 20), (21, 11), (90, 18)])
def test_batches_have_one_size_and_little_padding(digits, examples, size):
    run, state = run_of("configs/digits.py:smoke", digits, **{"eval.batch_size": 20})
    images, label = np.asarray(digits.train.image[:examples]), np.zeros(examples, np.int32)
    program = run.programs.predict.trace(state.params, state.model_state, Arrays(images, label))
    assert f"f32[{size},28,28,1]" in str(program.jaxpr)
