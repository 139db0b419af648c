"""What devices exchange in a training step: the sums that a global batch needs, and nothing else."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.steps.run import make_run, shapes

COLLECTIVE = re.compile(
    r" = (.+?) (all-reduce|all-gather|all-to-all|collective-permute|collective-broadcast|reduce-scatter)(?:-start)?\("
)


def exchanged(made, dataset, devices):
    """(kind, elements) of each collective in the compiled steps."""
    run = make_run(made, dataset, devices=devices)
    order = shapes(jax.eval_shape(run.programs.order, run.seed_array(), jnp.int32(0)), run.sharding)
    training = shapes(dataset.train, run.sharding)
    program = run.programs.steps.lower(run.state_shapes(), training, order, jnp.int32(1)).compile()
    found = []
    for line in program.as_text().splitlines():
        if match := COLLECTIVE.search(line):
            sizes = re.findall(r"[a-z]+\d+\[([\d,]*)\]", match[1])
            found.append((match[2], sum(int(np.prod([int(n) for n in s.split(",") if n])) for s in sizes)))
    return found


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_sums_the_gradient_the_batch_statistics_and_two_numbers(smoke, digits, optimizer):
    made = smoke(model__norm="batch", optim__name=optimizer, augment__shift_px=2.0, model__dropout=0.2)
    run = make_run(made, digits, devices=8)
    parameters = sum(p.size for p in jax.tree.leaves(run.state_shapes().params))
    channels = sum(made.model.features) + made.model.dense
    found = exchanged(made, digits, 8)
    assert {kind for kind, _ in found} == {"all-reduce"}
    # For each norm, two sums forward (of values and squares) and two backward, some of which are also gradients; the
    # loss and the hits of the batch.
    least = parameters + 2 * channels + 2
    assert least <= sum(elements for _, elements in found) <= least + 2 * channels


def test_one_device_exchanges_nothing(smoke, digits):
    assert exchanged(smoke(model__norm="batch"), digits, 1) == []
