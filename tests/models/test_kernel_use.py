"""Which networks take our compiled kernels, and what a run records of it."""

import jax
import numpy as np
import pytest

from hwr_jax import models
from hwr_jax.config import configs
from hwr_jax.core import networks
from hwr_jax.models import MODELS, kernel_use
from hwr_jax.models.kernels import calls


def test_a_run_records_its_convolution(kernel, monkeypatch):
    config = configs.load("configs/cnn.py").model
    assert kernel_use.facts(config) == {"convolution": "compiled", "kernel": kernel.what}
    monkeypatch.setattr(calls, "available", lambda: False)
    monkeypatch.setattr(calls, "what", lambda: "no C++ compiler is installed")
    assert kernel_use.facts(config) == {"convolution": "patches", "kernel": "no C++ compiler is installed"}
    for name in ("auto", "plain"):
        config.convolution, config.precision = name, "bfloat16"
        assert kernel_use.facts(config) == {"convolution": "patches"}  # it would not use a kernel
    config.convolution = "native"
    assert kernel_use.facts(config) == {"convolution": "native"}
    config.name = "mlp"
    assert kernel_use.facts(config) == {}


def test_a_run_records_how_its_sequences_are_read(kernel, monkeypatch):
    config = configs.load("configs/crnn.py").model
    assert kernel_use.facts(config) == {"convolution": "compiled", "recurrence": "compiled", "kernel": kernel.what}
    config.convolution = "plain"
    assert kernel_use.facts(config) == {"convolution": "patches", "recurrence": "compiled", "kernel": kernel.what}
    config.recurrence = "scan"
    assert kernel_use.facts(config) == {"convolution": "patches", "recurrence": "scan"}
    monkeypatch.setattr(calls, "available", lambda: False)
    monkeypatch.setattr(calls, "what", lambda: "no C++ compiler is installed")
    config = configs.load("configs/rnn.py").model
    assert kernel_use.facts(config) == {"recurrence": "scan", "kernel": "no C++ compiler is installed"}


def test_a_run_records_how_its_tokens_are_multiplied(kernel, monkeypatch):
    config = configs.load("configs/vit.py").model
    assert kernel_use.facts(config) == {"products": "compiled", "kernel": kernel.what}
    config.products = "plain"
    assert kernel_use.facts(config) == {"products": "plain"}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_networks_that_read_sequences_or_tokens_are_named(name):
    module = MODELS[name](configs.load("configs/base.py", {"model.name": name}).model, 10, (28, 28))(None, False)
    assert hasattr(module, "recurrence") == (name in networks.RECURRENT)
    assert hasattr(module, "products") == (name in networks.TRANSFORMERS)


@pytest.mark.parametrize("portable", [True, False])
def test_a_portable_network_that_reads_lines_has_no_kernels_of_this_machine(kernel, portable):
    config = configs.load("configs/crnn.py:smoke").model
    if portable:
        config.update(kernel_use.PORTABLE)
    model = models.make(config, classes=10, shape_px=(32, 64))
    image = np.zeros((1, 32, 64, 1), np.float32)
    variables = jax.eval_shape(lambda key: model.init(key, image.shape), jax.random.key(0))
    text = jax.jit(lambda v, image: model.apply(v, image)[0]).lower(variables, image).as_text()
    assert [name in text for name in (calls.CONVOLUTION, calls.READ)] == [not portable] * 2
