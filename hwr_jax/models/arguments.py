"""Keyword arguments that several networks read from `config.model`, and a check of widths."""

from __future__ import annotations

import functools
from typing import Any

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import convolution, layers


def shared(config: Any, classes: int) -> dict[str, Any]:
    """Returns the arguments of every network."""
    return {
        "classes": classes,
        "kernel_init": layers.INITIALIZERS[config.initializer],
        "dtype": layers.PRECISIONS[config.precision],
    }


def convolutional(config: Any, classes: int, axis_name: str | None, train: bool) -> dict[str, Any]:
    """Returns the arguments of a convolutional network with norms and dropout, for one mode: training or not."""
    chosen = convolution.chosen(config.convolution, train=train, precision=config.precision)
    return {
        "dropout": config.dropout,
        "norm": functools.partial(layers.Norm, config.norm, axis_name, chosen == "compiled"),
        "activation": layers.ACTIVATIONS[config.activation],
        "convolution": convolution.CONVOLUTIONS[chosen],
        "axis_name": axis_name,
        **shared(config, classes),
    }


def check_widths(key: str, widths: Any) -> None:
    """Raises ConfigError unless all widths of `config.model.<key>` are positive integers."""
    if not all(isinstance(w, int) and w > 0 for w in widths):
        raise ConfigError(f"config.model.{key}={tuple(widths)} is not possible: use positive integers")
