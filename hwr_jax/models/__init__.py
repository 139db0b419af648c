"""The networks, behind one pair of functions: the only folder that imports `flax.linen`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from hwr_jax.errors import ConfigError
from hwr_jax.models import convolution, layers
from hwr_jax.models.cnn import CNN
from hwr_jax.types import Tree


class Model(NamedTuple):
    """A network as two pure functions.

    init(key, shape) -> variables: `{"params": ..., "batch_stats": ...}` for images of shape [B, H, W, 1].
    apply(variables, image, *, train, rngs, axis_name) -> (logits float32 [B, K], model_state): `model_state` is what
      the network keeps besides its parameters (batch statistics; `{}` for none), updated when `train`.
    """

    init: Callable[..., Tree]
    apply: Callable[..., tuple[jax.Array, Tree]]


def _cnn(config: Any, classes: int) -> Callable:
    _check_sizes(config)
    return lambda axis_name: CNN(
        classes=classes,
        features=tuple(config.features),
        kernels_px=tuple(config.kernels_px),
        dense=config.dense,
        dropout=config.dropout,
        norm=config.norm,
        activation=layers.ACTIVATIONS[config.activation],
        kernel_init=layers.INITIALIZERS[config.initializer],
        convolution=convolution.by_name(config.convolution),
        axis_name=axis_name,
    )


def _check_sizes(config: Any) -> None:
    features, kernels = tuple(config.features), tuple(config.kernels_px)
    if len(features) != len(kernels):
        raise ConfigError(
            f"config.model.features={features} and config.model.kernels_px={kernels} must have the same length"
        )
    if not all(isinstance(v, int) and v > 0 for v in (*features, *kernels, config.dense)):
        raise ConfigError(
            "config.model.features, config.model.kernels_px and config.model.dense must be positive integers, "
            f"not {features}, {kernels} and {config.dense}"
        )
    side_px = 28
    for size in kernels:
        side_px = (side_px - size + 1) // 2
    if side_px < 1:
        raise ConfigError(
            f"config.model.kernels_px={kernels} leaves nothing of a 28x28 image: use fewer or smaller ones"
        )


MODELS = {"cnn": _cnn}


def make(config: Any, *, classes: int) -> Model:
    """Makes the network that `config.model` describes, for K = `classes`.

    Raises:
      ConfigError: sizes that do not fit each other or the image.
    """
    module = MODELS[config.name](config, classes)

    def init(key: jax.Array, shape: tuple[int, ...]) -> Tree:
        return module(None).init(key, jax.numpy.zeros(shape, jax.numpy.float32), train=False)

    def apply(variables, image, *, train=False, rngs=None, axis_name=None):
        kept = {k: v for k, v in variables.items() if k != "params"}
        net = module(axis_name)
        if not train:
            return net.apply(variables, image, train=False), kept
        logits, updated = net.apply(variables, image, train=True, rngs=rngs, mutable=list(kept))
        return logits, dict(updated)

    return Model(init, apply)
