"""The networks: parameters counted by hand, a property of each architecture, and learning."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick_runs import UNCHANGED

from hwr_jax import models
from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.models import layers
from hwr_jax.steps import predict_step, train_step
from hwr_jax.steps.recipe import make_recipe

ROOT = Path(__file__).parents[2]
IMAGE = (np.arange(2 * 28 * 28).reshape(2, 28, 28, 1) % 97 / 97).astype(np.float32)
LAYER = 2 * 64 + 4 * (64 * 64 + 64) + 2 * 64 + 64 * 256 + 256 + 256 * 64 + 64  # of the transformer
PARAMETERS = {
    "linear": 784 * 10 + 10,
    "mlp": 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10,
    "lenet": 61_706,  # C1 156, C3 2,416 with all maps connected, C5 48,120 less 0, F6 10,164, output 850
    "rnn": 2 * (28 * 384 + 96 * 384 + 384) + 192 * 10 + 10,
    "vit": 49 * 64 + 64 + 16 * 64 + 4 * LAYER + 2 * 64 + 64 * 10 + 10,
    "resnet": (
        9 * 24 + (2 * 24 + 9 * 24 * 24) + (2 * 24 + 9 * 24 * 24)
        + (2 * 24 + 24 * 48 + 9 * 24 * 48) + (2 * 48 + 9 * 48 * 48)
        + (2 * 48 + 48 * 96 + 9 * 48 * 96) + (2 * 96 + 9 * 96 * 96) + 2 * 96 + 96 * 10 + 10
    ),
}  # fmt: skip


# Compiled quickly rather than well: each program runs once, and is compared up to rounding.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def network(name, **overrides):
    """The network of configs/NAME.py and its variables."""
    made = configs.load(ROOT / "configs" / name, {f"model.{k}": v for k, v in overrides.items()})
    model = models.make(made.model, classes=10)
    return model, quick_jit(lambda key: model.init(key, (1, 28, 28, 1)))(jax.random.key(0))


def logits(model, variables, image=IMAGE):
    return quick_jit(model.apply)(variables, jnp.asarray(image))[0]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_network_has_as_many_parameters_as_counted_by_hand(name):
    model = models.make(configs.load(ROOT / "configs" / f"{name}.py").model, classes=10)
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), (1, 28, 28, 1)))
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == PARAMETERS[name]
    out = jax.eval_shape(lambda variables: model.apply(variables, IMAGE)[0], variables)
    assert (out.shape, out.dtype) == ((2, 10), jnp.float32)


def test_softmax_regression_is_one_affine_map():
    model, variables = network("linear.py", initializer="he_normal")
    dense = variables["params"]["Dense_0"]
    expected = IMAGE.reshape(2, -1) @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    np.testing.assert_allclose(logits(model, variables), expected, rtol=1e-4, atol=1e-5)


def test_the_layers_of_vit_have_the_names_that_checkpoints_know():
    _, variables = network("vit.py", width=8, layers=2)
    shapes = {name: of["kernel"].shape for name, of in variables["params"].items() if name.startswith("Dense_")}
    assert shapes == {"Dense_0": (49, 8), "Dense_1": (8, 32), "Dense_2": (32, 8), "Dense_3": (8, 32),
                      "Dense_4": (32, 8), "Dense_5": (8, 10)}  # fmt: skip


def test_lenet_equals_its_definition_in_numpy():
    model, variables = network("lenet.py")
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])
    x = np.pad(IMAGE.astype(np.float64), ((0, 0), (2, 2), (2, 2), (0, 0)))
    for name in ("Conv_0", "Conv_1"):
        side = x.shape[1] - 4
        windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))
        x = np.tanh(np.einsum("bhwcij,ijcf->bhwf", windows, p[name]["kernel"]) + p[name]["bias"])
        x = x.reshape(len(x), side // 2, 2, side // 2, 2, -1).mean((2, 4))
    x = x.reshape(len(x), -1)
    for name in ("Dense_0", "Dense_1"):
        x = np.tanh(x @ p[name]["kernel"] + p[name]["bias"])
    np.testing.assert_allclose(
        logits(model, variables), x @ p["Dense_2"]["kernel"] + p["Dense_2"]["bias"], rtol=1e-4, atol=1e-5
    )


def test_a_residual_block_that_adds_nothing_is_the_identity():
    model, variables = network("resnet.py", features=(8,), blocks=2, norm="none", stride_px=1)
    silent = jax.tree.map(jnp.zeros_like, {k: variables["params"][k] for k in ("Conv_2", "Conv_4")})
    variables = {"params": {**variables["params"], **silent}}
    p = variables["params"]
    padded = np.pad(IMAGE, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    stem = np.einsum("bhwcij,ijcf->bhwf", windows, np.asarray(p["Conv_0"]["kernel"]))
    expected = np.maximum(stem, 0).mean((1, 2)) @ np.asarray(p["Dense_0"]["kernel"])
    np.testing.assert_allclose(logits(model, variables), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_reading_upwards_is_reading_the_picture_upside_down(cell):
    model, variables = network("rnn.py", cell=cell, width=8)
    p = dict(variables["params"])
    cells = sorted(k for k in p if k != "Dense_0")
    kernel = p["Dense_0"]["kernel"]
    swapped = {
        cells[0]: p[cells[1]],
        cells[1]: p[cells[0]],
        "Dense_0": {**p["Dense_0"], "kernel": jnp.concatenate([kernel[8:], kernel[:8]])},
    }
    np.testing.assert_allclose(
        logits(model, variables), logits(model, {"params": swapped}, IMAGE[:, ::-1]), rtol=1e-4, atol=1e-5
    )


def test_an_lstm_equals_its_definition_in_numpy():
    model, variables = network("rnn.py", cell="lstm", width=6, bidirectional=False)
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])
    cell = p[next(k for k in p if k != "Dense_0")]
    h = c = np.zeros((2, 6))
    for row in range(28):
        gate = {}
        for name in "ifgo":
            gate[name] = IMAGE[:, row, :, 0] @ cell[f"i{name}"]["kernel"] + h @ cell[f"h{name}"]["kernel"]
            gate[name] = gate[name] + cell[f"h{name}"]["bias"]
        i, f, o = (1 / (1 + np.exp(-gate[name])) for name in "ifo")
        c = f * c + i * np.tanh(gate["g"])
        h = o * np.tanh(c)
    expected = h @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
    np.testing.assert_allclose(logits(model, variables), expected, rtol=1e-4, atol=1e-5)


def test_a_transformer_without_positions_does_not_see_the_order_of_the_patches():
    model, variables = network("vit.py", layers=1)
    patches = IMAGE.reshape(2, 4, 7, 4, 7, 1)
    mixed = patches[:, [2, 0, 3, 1]].reshape(IMAGE.shape)
    assert np.abs(logits(model, variables) - logits(model, variables, mixed)).max() > 1e-4
    variables["params"]["position"] = jnp.zeros_like(variables["params"]["position"])
    np.testing.assert_allclose(logits(model, variables), logits(model, variables, mixed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "size"), [(16, 8), (12, 6), (49, 7), (2, 2), (27, 3)])
def test_groups_are_as_large_as_they_can_be_up_to_8(channels, size):
    assert layers.group_size(channels) == size


def test_a_width_without_groups_is_refused():
    with pytest.raises(ConfigError, match="config.model.norm=group needs widths with a divisor from 2 to 8, and 11"):
        network("mlp.py", hidden=(11,), norm="group")


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_a_recurrent_network_computes_in_bfloat16_too(cell):
    model, variables = network("rnn.py", cell=cell, width=8, precision="bfloat16")
    assert logits(model, variables).dtype == jnp.float32


@pytest.mark.parametrize("kind", ["layer", "group"])
def test_a_norm_has_mean_zero_and_variance_one_over_what_it_is_called_after(kind):
    x = jax.random.normal(jax.random.key(0), (3, 4, 5, 16)) * 3 + 2
    norm = layers.Norm(kind)
    out = np.asarray(norm.apply(norm.init(jax.random.key(1), x, True), x, True))
    groups = out.reshape(3, 20, 2, 8) if kind == "group" else out
    axes = (1, 3) if kind == "group" else -1
    np.testing.assert_allclose(groups.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(groups.var(axes), 1, atol=1e-3)


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(n, marks=pytest.mark.exhaustive) for n in ("linear", "mlp", "lenet", "vit")), "resnet", "rnn"],
)
def test_a_network_learns_64_digits_by_heart(name, digits, initial):
    own = {"model.width": 32} if name in ("rnn", "vit") else {}
    made = configs.load(
        ROOT / "configs" / f"{name}.py:smoke",
        {**UNCHANGED, **own, "model.dropout": 0.0, "batch_size": 32, "schedule.name": "constant", "epochs": 100,
         "optim.learning_rate": 1e-2 if name == "linear" else 5e-3},
    )  # fmt: skip
    few = Arrays(jnp.asarray(digits.train.image[:64]), jnp.asarray(digits.train.label[:64]))
    recipe = make_recipe(made, examples=64, classes=10, mean=digits.mean, std=digits.std)
    state = initial(recipe)
    train = jax.jit(functools.partial(train_step.train_steps, recipe))
    order = jax.jit(lambda epoch: train_step.epoch_order(recipe, jnp.int32(0), epoch, 64))
    predict = jax.jit(functools.partial(predict_step.predict, recipe, batch_size=64))
    for epoch in range(100):
        state = train(state, few, order(jnp.int32(epoch)), jnp.int32(2))
        if epoch % 10 == 9 and bool(jnp.all(predict(state.params, state.model_state, few).pred == few.label)):
            return
    pytest.fail("it did not learn them")


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("vit.py", {"patch_px": 5}, "config.model.patch_px=5 is not possible: use a divisor of both sides, 28x28"),
        ("vit.py", {"heads": 5}, "config.model.heads=5 does not divide config.model.width=64"),
        ("mlp.py", {"hidden": (5, 0)}, r"config.model.hidden=\(5, 0\) is not possible: use positive integers"),
        ("resnet.py", {"features": ()}, r"config.model.features=\(\) is not possible: a resnet has one stage"),
        ("resnet.py", {"features": (0,)}, r"config.model.features=\(0,\) is not possible"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, overrides, words):
    with pytest.raises(ConfigError, match=words):
        network(name, **overrides)
