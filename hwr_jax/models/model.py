"""The networks, behind one pair of functions: the only folder that imports `flax.linen`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from hwr_jax.core.types import Tree
from hwr_jax.models.builders import MODELS, READERS

__all__ = ["MODELS", "READERS", "Model", "describe", "head_of", "layer_names", "make"]


class Model(NamedTuple):
    """A network as two pure functions.

    init(key, shape) -> variables: `{"params": ..., "batch_stats": ...}` for images of shape [B, H, W, 1].
    apply(variables, image, *, train, rngs, axis_name) -> (logits float32 [B, K], model_state): `model_state` is what
      the network keeps besides its parameters (batch statistics; `{}` for none), updated when `train`. Of strings the
      logits are [B, T, K + 1] (see `ctc`).
    """

    init: Callable[..., Tree]
    apply: Callable[..., tuple[jax.Array, Tree]]


def layer_names(model: Model, shape: tuple[int, ...]) -> list[str]:
    """Returns the names of the layers that have parameters, from the image (H, W, C) to the logits."""
    names: list[str] = []

    def init(key):
        variables = model.init(key, (1, *shape))
        names.extend(variables["params"])
        return variables

    jax.eval_shape(init, jax.random.key(0))
    return names


def head_of(params: Tree) -> str:
    """Returns the name of the output layer: the last dense one."""
    dense = [name for name in params if name.startswith("Dense_")]
    return max(dense, key=lambda name: int(name.removeprefix("Dense_")))


def describe(config: Any, *, classes: int, shape: tuple[int, ...]) -> str:
    """Returns a table of the network's layers, with output shapes, parameters and FLOPs of one picture (by XLA)."""
    module = MODELS[config.name](config, classes, (shape[0], shape[1]))(None, False)
    image = jax.numpy.zeros((1, *shape), jax.numpy.float32)
    options = {"width": 200, "force_terminal": False}
    return module.tabulate(jax.random.key(0), image, compute_flops=True, console_kwargs=options)


def make(config: Any, *, classes: int, shape_px: tuple[int, int] = (28, 28)) -> Model:
    """Makes the network that `config.model` describes, for K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: sizes that do not fit each other or the image.
    """
    module = MODELS[config.name](config, classes, shape_px)
    evaluating = module(None, False)

    def init(key: jax.Array, shape: tuple[int, ...]) -> Tree:
        return evaluating.init(key, jax.numpy.zeros(shape, jax.numpy.float32), train=False)

    def apply(variables, image, *, train=False, rngs=None, axis_name=None):
        kept = {k: v for k, v in variables.items() if k != "params"}
        net = module(axis_name, train)
        if not train:
            return net.apply(variables, image, train=False), kept
        logits, updated = net.apply(variables, image, train=True, rngs=rngs, mutable=list(kept))
        return logits, dict(updated)

    return Model(init, apply)
