"""Convolution as patches + matrix product, against XLA's own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hwr_jax.config import configs
from hwr_jax.core import networks
from hwr_jax.models import MODELS, convolution
from hwr_jax.models.kernels import calls


def ours():
    """The names of our own convolutions on this machine."""
    return ("patches", "compiled") if calls.available() else ("patches",)


def draw(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize("padding", ["VALID", "SAME", ((1, 2), (0, 3))])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize(("size", "channels"), [((5, 5), 1), ((3, 3), 4), ((1, 1), 3), ((2, 3), 2)])
def test_each_equals_the_native_one_forward_and_backward(padding, strides, size, channels):
    image, kernel = draw((3, 11, 12, channels), 0), draw((*size, channels, 6), 1)

    @jax.jit
    def both(image, kernel):
        def run(convolve):
            def loss(image, kernel):
                out = convolve(image, kernel, strides, padding, dimension_numbers=convolution.NHWC)
                return jnp.sum(jnp.sin(out)), out

            grads, out = jax.grad(loss, argnums=(0, 1), has_aux=True)(image, kernel)
            return out, *grads

        return run(lax.conv_general_dilated), *(run(convolution.CONVOLUTIONS[name]) for name in ours())

    native, *others = both(image, kernel)
    for found in others:
        for mine, its in zip(found, native, strict=True):
            assert mine.shape == its.shape
            assert float(jnp.abs(mine - its).max()) <= 1e-5 * float(jnp.abs(its).max())


def test_patches_are_the_windows_row_by_row():
    image = jnp.arange(16.0).reshape(1, 4, 4, 1)
    cut = convolution.patches(image, (2, 3))
    assert cut.shape == (1, 3, 2, 6)
    assert cut[0, 1, 1].tolist() == [5, 6, 7, 9, 10, 11]


@pytest.mark.parametrize(
    "options",
    [
        {"rhs_dilation": (2, 2)},
        {"lhs_dilation": (2, 2)},
        {"feature_group_count": 2},
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ],
)
def test_unsupported_options_are_refused(options):
    options = {"dimension_numbers": convolution.NHWC, **options}
    for name in ours():
        with pytest.raises(NotImplementedError, match="neither dilation nor groups"):
            convolution.CONVOLUTIONS[name](draw((2, 8, 8, 2), 0), draw((3, 3, 2, 2), 1), (1, 1), "VALID", **options)


@pytest.mark.parametrize("train", [True, False])
def test_auto_is_the_fastest_that_the_machine_has(kernel, monkeypatch, train):
    chosen = functools.partial(convolution.chosen, "auto", train=train)
    otherwise = "patches" if train else "native"
    assert chosen() == "compiled"
    assert chosen(precision="bfloat16") == otherwise
    monkeypatch.setattr(calls, "available", lambda: False)
    assert chosen() == otherwise
    for backend, name in (("gpu", otherwise), ("tpu", "native")):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert chosen() == name


@pytest.mark.parametrize(("train", "name"), [(True, "patches"), (False, "native")])
def test_plain_is_the_fastest_without_our_kernels(train, name):
    assert convolution.chosen("plain", train=train) == name


def test_a_name_is_taken_at_its_word():
    for name in ("patches", "native"):
        assert convolution.by_name(name, train=False) is convolution.CONVOLUTIONS[name]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_networks_that_convolve_are_named(name):
    module = MODELS[name](configs.load("configs/base.py", {"model.name": name}).model, 10, (28, 28))(None, False)
    assert hasattr(module, "convolution") == (name in networks.CONVOLUTIONAL)
