"""A network as a pair of pure functions, `init` and `apply`; its layer names; a table of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax

from hwr_jax.core.types import Tree
from hwr_jax.models import kernel_use
from hwr_jax.models.layers import DENSE
from hwr_jax.models.registry import MODELS


class Model(NamedTuple):
    """A network as two pure functions.

    init(key, shape) -> variables: `{"params": ..., "batch_stats": ...}` for images of shape [B, H, W, 1].
    apply(variables, image, *, train, rngs, axis_name) -> (logits float32 [B, K], model_state): `model_state` is what
      the network keeps besides its parameters (batch statistics; `{}` for none), updated when `train`. A reader of
      strings has logits [B, T, K + 1] (see `tasks.ctc`).
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


def head_of(layers: Iterable[str]) -> str:
    """Returns the name of the output layer: the last dense one, as every network ends with a dense layer."""
    dense = [name for name in layers if name.startswith(DENSE)]
    return max(dense, key=lambda name: int(name.removeprefix(DENSE)))


def describe(config: Any, *, classes: int, shape: tuple[int, ...]) -> str:
    """Returns a table of the network's layers: output shapes, parameters, and FLOPs of one image (counted by XLA)."""
    plain = config.copy_and_resolve_references()
    plain.update(kernel_use.PORTABLE)  # XLA does not count the operations of our kernels
    module = MODELS[config.name](plain, classes, (shape[0], shape[1]))(None, False)
    image = jax.numpy.zeros((1, *shape), jax.numpy.float32)
    options = {"width": 200, "force_terminal": False}
    return module.tabulate(jax.random.key(0), image, compute_flops=True, console_kwargs=options)


def make(config: Any, *, classes: int, shape_px: tuple[int, int] = (28, 28)) -> Model:
    """Makes the network that `config.model` describes, for K = `classes` and images of H, W = `shape_px`.

    Raises:
      ConfigError: sizes that do not fit each other or the image.

    >>> from hwr_jax.config import configs
    >>> model = make(configs.load("mlp").model, classes=10)
    >>> variables = model.init(jax.random.key(0), (1, 28, 28, 1))
    >>> logits, _ = model.apply(variables, jax.numpy.zeros((5, 28, 28, 1)))
    >>> logits.shape, sum(leaf.size for leaf in jax.tree.leaves(variables))
    ((5, 10), 535818)
    """
    module = MODELS[config.name](config, classes, shape_px)  # (axis_name, train) -> Flax module
    evaluating = module(None, False)

    def init(key: jax.Array, shape: tuple[int, ...]) -> Tree:
        return evaluating.init(key, jax.numpy.zeros(shape, jax.numpy.float32), train=False)

    def apply(variables, image, *, train=False, rngs=None, axis_name=None):
        model_state = {k: v for k, v in variables.items() if k != "params"}
        network = module(axis_name, train)
        if not train:
            return network.apply(variables, image, train=False), model_state
        logits, updated = network.apply(variables, image, train=True, rngs=rngs, mutable=list(model_state))
        return logits, dict(updated)

    return Model(init, apply)
