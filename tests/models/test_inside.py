"""Every network can be looked into without a second definition."""

from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax import models
from hwr_jax.config import configs
from hwr_jax.models import inside
from hwr_jax.workdir import figures

NETWORKS = ("cnn", "lenet", "linear", "mlp", "resnet", "rnn", "scratch", "vit")


@pytest.fixture(params=NETWORKS)
def network(request):
    """A network of its config's smallest size, and random weights."""
    config = configs.load(f"configs/{request.param}.py:smoke")
    made = models.make(config.model, classes=10)
    with jax.numpy_dtype_promotion("standard"):
        return made, jax.jit(made.init, static_argnums=1)(jax.random.key(0), (1, 28, 28, 1))


def test_the_output_layer_turns_what_it_takes_into_the_logits(network):
    made, variables = network
    image = jax.random.normal(jax.random.key(1), (3, 28, 28, 1))
    head = models.head_of(variables["params"])
    with jax.numpy_dtype_promotion("standard"):
        logits, layer = jax.jit(lambda image: inside.watch(made, variables, image, head))(image)
        plain, _ = made.apply(variables, image)
    np.testing.assert_allclose(logits, plain, atol=1e-5)
    kernel, bias = (np.asarray(variables["params"][head][name]) for name in ("kernel", "bias"))
    np.testing.assert_allclose(np.asarray(layer.taken) @ kernel + bias, logits, atol=1e-4)
    np.testing.assert_allclose(layer.given, logits, atol=1e-5)


@pytest.mark.parametrize("network", ["cnn", "lenet", "resnet"], indirect=True)
def test_the_first_convolution_is_found_and_takes_the_image(network):
    made, variables = network
    layer = figures.first_convolution(variables["params"])
    image = jax.random.normal(jax.random.key(1), (2, 28, 28, 1))
    with jax.numpy_dtype_promotion("standard"):
        taken, given = jax.jit(lambda image: inside.watch(made, variables, image, layer)[1])(image)
    np.testing.assert_array_equal(taken, image)
    assert given.shape[-1] == len(figures.filters_of(variables["params"]))


class Block(nn.Module):
    """A convolution in a block."""

    @nn.compact
    def __call__(self, image):
        return nn.Conv(2, (3, 3))(image)


class Nested(nn.Module):
    """A network of one block."""

    @nn.compact
    def __call__(self, image):
        return Block()(image)


def test_a_layer_in_a_block_is_watched_by_its_path():
    image = jnp.ones((1, 4, 4, 1))
    variables = Nested().init(jax.random.key(0), image)
    layer = figures.first_convolution(variables["params"])
    made = SimpleNamespace(apply=lambda variables, image, train: (Nested().apply(variables, image), {}))
    logits, watched = inside.watch(made, variables, image, layer)
    assert layer == "Block_0/Conv_0"
    np.testing.assert_array_equal(watched.given, logits)


def test_an_unknown_layer_is_named():
    config = configs.load("configs/linear.py:smoke")
    made = models.make(config.model, classes=10)
    variables = made.init(jax.random.key(0), (1, 28, 28, 1))
    with pytest.raises(ValueError, match="no layer 'Conv_0'"):
        inside.watch(made, variables, jnp.zeros((1, 28, 28, 1)), "Conv_0")
