"""Layers and networks: shapes, what changes in training, and the choices by name."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax import models
from hwr_jax.core.errors import ConfigError
from hwr_jax.models import layers


def test_max_pool_equals_that_of_flax():
    image = jax.random.normal(jax.random.key(0), (2, 8, 6, 3))
    np.testing.assert_array_equal(
        layers.max_pool_2x2(image), nn.max_pool(image, window_shape=(2, 2), strides=(2, 2), padding="VALID")
    )


def test_max_pool_leaves_out_an_odd_last_row():
    assert layers.max_pool_2x2(jnp.zeros((1, 7, 5, 2))).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    x = jnp.ones((64, 500))
    out = layers.Dropout(rate).apply({}, x, True, rngs={"dropout": jax.random.key(1)})
    assert abs(float((out == 0).mean()) - rate) < 0.01
    assert abs(float(out.mean()) - 1) < 0.02
    np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - rate)], rtol=1e-6)


def test_dropout_is_the_identity_at_rate_zero_and_in_evaluation():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(layers.Dropout(0.0).apply({}, x, True), x)
    np.testing.assert_array_equal(layers.Dropout(0.5).apply({}, x, False), x)


def test_dropout_of_an_example_does_not_depend_on_the_rest_of_the_batch():
    rngs = {"dropout": jax.random.key(1)}
    eight = layers.Dropout(0.5).apply({}, jnp.ones((8, 20)), True, rngs=rngs)
    three = layers.Dropout(0.5).apply({}, jnp.ones((3, 20)), True, rngs=rngs)
    np.testing.assert_array_equal(eight[:3], three)


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_every_activation_keeps_shape_and_type(name):
    x = jnp.linspace(-3, 3, 7)
    out = layers.ACTIVATIONS[name](x)
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    assert bool(jnp.all(jnp.diff(out[3:]) >= 0))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("lecun_normal", 1 / 400),
        ("he_normal", 2 / 400),
        ("he_uniform", 2 / 400),
        ("xavier_normal", 2 / 700),
        ("xavier_uniform", 2 / 700),
        ("normal", 0.05**2),
        ("zeros", 0.0),
    ],
)
def test_an_initialiser_has_the_variance_of_its_paper(name, variance):
    kernel = layers.INITIALIZERS[name](jax.random.key(0), (400, 300), jnp.float32)
    np.testing.assert_allclose(float(kernel.var()), variance, rtol=0.03)


def test_the_orthogonal_initialiser_is_orthogonal():
    kernel = layers.INITIALIZERS["orthogonal"](jax.random.key(0), (40, 30), jnp.float32)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(30), atol=1e-5)


# Compiled quickly rather than well: each program runs once, and is compared up to rounding.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def make(smoke, **overrides):
    return models.make(smoke(**overrides).model, classes=10)


def init(net):
    return quick_jit(lambda key: net.init(key, (1, 28, 28, 1)))(jax.random.key(0))


def test_the_network_gives_logits_and_its_parameters_are_counted(smoke):
    net = make(smoke)
    variables = init(net)
    logits, state = quick_jit(net.apply)(variables, jnp.zeros((4, 28, 28, 1)))
    assert logits.shape == (4, 10)
    assert logits.dtype == jnp.float32
    assert state == {}
    expected = (25 * 8 + 8) + (9 * 8 * 16 + 16) + (5 * 5 * 16 * 32 + 32) + (32 * 10 + 10)
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == expected


def test_batch_norm_keeps_statistics_and_updates_them_only_in_training(smoke):
    net = make(smoke, model__norm="batch")
    variables = init(net)
    image = jax.random.normal(jax.random.key(1), (4, 28, 28, 1))
    rngs = {"dropout": jax.random.key(2)}
    _, after_eval = quick_jit(net.apply)(variables, image)
    _, after_train = quick_jit(functools.partial(net.apply, train=True))(variables, image, rngs=rngs)
    before = jax.tree.leaves(variables["batch_stats"])
    assert all(bool(jnp.array_equal(a, b)) for a, b in zip(before, jax.tree.leaves(after_eval), strict=True))
    assert not any(bool(jnp.array_equal(a, b)) for a, b in zip(before, jax.tree.leaves(after_train), strict=True))


def test_without_a_hidden_layer_the_classes_read_the_last_convolution(smoke):
    net = make(smoke, model__dense=0)
    params = jax.eval_shape(lambda: net.init(jax.random.key(0), (1, 28, 28, 1)))["params"]
    assert [name for name in params if name.startswith("Dense")] == ["Dense_0"]
    assert params["Dense_0"]["kernel"].shape == (5 * 5 * 16, 10)


@pytest.mark.parametrize("convolution", ["native", "patches", "compiled"])
def test_every_convolution_gives_the_same_network(smoke, convolution):
    image = jax.random.normal(jax.random.key(1), (4, 28, 28, 1))
    variables = init(make(smoke))
    expected, _ = quick_jit(make(smoke, model__convolution="native").apply)(variables, image)
    found, _ = quick_jit(make(smoke, model__convolution=convolution).apply)(variables, image)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model__features": (4,)}, "must have the same length"),
        ({"model__features": (4, -1)}, "must be positive integers"),
        ({"model__kernels_px": (27, 9)}, "leaves nothing of a 28x28 image"),
        ({"model__strides_px": (2,)}, r"config.model.strides_px=\(2,\) must have the same length"),
        ({"model__strides_px": (2, 0)}, "must be positive integers"),
        (
            {"model__pools": (True, 1)},
            r"config.model.pools=\[True, 1\] .*: use a list of which each element is True or False",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(smoke, overrides, words):
    with pytest.raises(ConfigError, match=words):
        make(smoke, **overrides)


@pytest.mark.parametrize(
    ("overrides", "features"),
    [
        ({}, 5 * 5 * 16),  # 28 -> 24 -> 12 -> 10 -> 5
        ({"model__strides_px": (2, 1), "model__pools": (False, True)}, 5 * 5 * 16),  # 28 -> 12 -> 10 -> 5
        ({"model__strides_px": (2, 2), "model__pools": (False, False)}, 5 * 5 * 16),  # 28 -> 12 -> 5
        ({"model__padding": "same"}, 7 * 7 * 16),
        (
            {"model__padding": "same", "model__strides_px": (3, 1), "model__pools": (False, True)},
            5 * 5 * 16,
        ),  # 28 -> 10
    ],
)
@pytest.mark.parametrize("convolution", ["native", "patches", "compiled"])
def test_strides_pools_and_padding_give_the_sizes_of_their_definitions(smoke, overrides, features, convolution):
    net = make(smoke, model__convolution=convolution, **overrides)
    params = jax.eval_shape(lambda: net.init(jax.random.key(0), (1, 28, 28, 1)))["params"]
    assert params["Dense_0"]["kernel"].shape == (features, 32)
    logits = jax.eval_shape(lambda p: net.apply({"params": p}, jnp.zeros((3, 28, 28, 1)))[0], params)
    assert logits.shape == (3, 10)


def test_bfloat16_computes_in_half_the_bits_and_keeps_parameters_and_scores_in_float32(smoke):
    image, rngs = jax.random.normal(jax.random.key(1), (8, 28, 28, 1)), {"dropout": jax.random.key(2)}
    logits = {}
    for precision in layers.PRECISIONS:
        config = smoke(model__precision=precision, model__norm="batch")
        model = models.make(config.model, classes=10)
        variables = init(model)
        assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
        logits[precision], _ = quick_jit(functools.partial(model.apply, train=True))(variables, image, rngs=rngs)
        assert logits[precision].dtype == jnp.float32
    error = jnp.abs(logits["bfloat16"] - logits["float32"]).max() / jnp.abs(logits["float32"]).max()
    assert 1e-4 < error < 0.1


def test_the_table_of_layers_counts_the_operations_of_a_convolution_whatever_computes_it(smoke, kernel):
    tables = [
        models.describe(smoke(model__convolution=name).model, classes=10, shape=(28, 28, 1))
        for name in ("auto", "native", "compiled")
    ]
    assert tables[0] == tables[1] == tables[2]
    assert "235008" in tables[0]  # 24 * 24 * 8 * (2 * 25 + 1): each value is 25 products, their sum and the bias
