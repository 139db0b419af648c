"""Seeds over groups of devices: each seed is trained as if it were alone."""

import re

import jax
import numpy as np
import pytest

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.distributed import sharding
from hwr_jax.steps.run import compile_training, make_run, on_device, on_mesh

STEPS = 5


def trained(config, dataset, *, devices, groups):
    """(parameters [S, ...], predictions [S, N], compiled text) after a few steps."""
    run = make_run(config, dataset, devices=devices, seed_groups=groups)
    programs, _ = compile_training(run)
    seeds = run.seed_array()
    state = programs.steps(programs.init(seeds), on_device(run, dataset.train), programs.order(seeds, 0), STEPS)
    outputs = programs.predict(state.params, state.model_state, on_device(run, dataset.validation))
    return jax.device_get(state.params), np.asarray(outputs.pred), programs.steps.as_text()


def config(how="map"):
    small = {"model.name": "mlp", "model.hidden": (16,), "model.norm": "batch"}
    own = {"seeds": 4, "optim.name": "sgd", "over_seeds": how, **small}
    return configs.load("configs/digits.py:smoke", own)


@pytest.fixture(scope="module")
def alone(digits):
    return trained(config(), digits, devices=1, groups=1)


@pytest.mark.parametrize(("devices", "groups", "how"), [(4, 4, "map"), (4, 2, "map"), (4, 2, "vmap")])
def test_every_seed_equals_that_of_one_device(digits, alone, devices, groups, how):
    params, pred, text = trained(config(how), digits, devices=devices, groups=groups)
    apart = max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (alone[0], params)), strict=True))
    assert apart < 1e-6  # other layouts are other programs: no promise of equal bits
    assert (pred == alone[1]).mean() > 0.99
    assert bool(re.search(r" all-reduce(-start)?\(", text)) == (devices > groups)  # groups exchange nothing


def test_groups_must_divide_devices_and_seeds():
    for devices, groups, seeds in ((4, 3, 6), (4, 2, 3)):
        with pytest.raises(ConfigError, match=f"--seed_groups={groups} must divide the {devices} devices and config.s"):
            sharding.make_mesh(devices, batch_size=32, groups=groups, seeds=seeds)
    assert dict(sharding.make_mesh(8, batch_size=32, groups=2, seeds=4).shape) == {"seed": 2, "data": 4}


@pytest.mark.parametrize(
    ("groups", "more", "words"),
    [(2, {}, "--seed_groups=2"), (1, {"optim.accumulate": 2}, "config.optim.accumulate=2 on 4 devices")],
)
def test_where_our_kernels_cannot_be_split_a_network_trains_without_them(digits, kernel, groups, more, words):
    changed = {"seeds": 2, "batch_size": 24, "model.norm": "batch", "model.features": (8, 16), **more}
    config = configs.load("configs/digits.py:smoke", changed)
    run = make_run(config, digits, devices=4, seed_groups=groups)
    assert on_mesh(config, run.sharding.mesh).model.convolution == "plain"
    programs, _ = compile_training(run)
    seeds = run.seed_array()
    state = programs.steps(programs.init(seeds), on_device(run, digits.train), programs.order(seeds, 0), 2)
    assert np.isfinite(state.totals.loss).all()
    config.model.convolution = "compiled"
    with pytest.raises(ConfigError, match=f"compiled does not work with {words}: use auto"):
        make_run(config, digits, devices=4, seed_groups=groups)


def test_networks_that_read_sequences_do_without_the_kernels_there_too(kernel):
    mesh = sharding.make_mesh(4, batch_size=32, groups=2, seeds=2)
    config = configs.load("configs/crnn.py:smoke", {"seeds": 2})
    model = on_mesh(config, mesh).model
    assert (model.convolution, model.recurrence) == ("plain", "scan")
    config.model.convolution, config.model.recurrence = "native", "compiled"
    with pytest.raises(ConfigError, match="model.recurrence=compiled does not work with --seed_groups=2: use auto"):
        on_mesh(config, mesh)


def test_networks_of_tokens_do_without_the_kernels_there_too(kernel):
    mesh = sharding.make_mesh(4, batch_size=32, groups=2, seeds=2)
    assert on_mesh(configs.load("configs/vit.py:smoke", {"seeds": 2}), mesh).model.products == "plain"


def test_on_one_device_a_batch_in_parts_takes_our_kernels(kernel):
    config = configs.load("configs/digits.py:smoke", {"optim.accumulate": 2})
    assert on_mesh(config, sharding.make_mesh(1, batch_size=32)).model.convolution == "auto"
