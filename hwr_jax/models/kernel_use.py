"""Which networks take our compiled kernels, and what a run records of it."""

from __future__ import annotations

from typing import Any

import jax

from hwr_jax.core import networks
from hwr_jax.models import convolution, products, recurrence
from hwr_jax.models.kernels import calls

KEYS = {  # of config.model, and who reads them
    "convolution": networks.CONVOLUTIONAL,
    "recurrence": networks.RECURRENT,
    "products": networks.TRANSFORMERS,
}
CHOSEN = {"convolution": convolution.chosen, "recurrence": recurrence.chosen, "products": products.chosen}
ASKS = ("auto", "compiled")  # values that take a kernel where it can be built
WITHOUT = {"convolution": "plain", "recurrence": "scan", "products": "plain"}  # the fastest without kernels
PORTABLE = {"convolution": "native", "recurrence": "scan", "products": "plain"}  # XLA's own operations


def may_be(model: Any) -> bool:
    """Whether a network, `config.model`, takes our kernels where they can be built."""
    asks = any(model.name in names and model[key] in ASKS for key, names in KEYS.items())
    return asks and model.precision == "float32" and jax.default_backend() == "cpu"


def facts(model: Any) -> dict[str, str]:
    """Returns what a run records: which convolution trains it, how its sequences are read or its tokens multiplied,
    and, on CPU, how the kernels were built, or why there are none. Nothing for other networks.

    Args:
      model: config.model.
    """
    found = {
        key: CHOSEN[key](model[key], train=True, precision=model.precision)
        for key, names in KEYS.items()
        if model.name in names
    }
    return found | ({"kernel": calls.what()} if may_be(model) else {})
