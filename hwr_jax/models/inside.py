"""What a layer of a network takes and gives, without another definition of the network."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax

from hwr_jax.core.types import Array, Tree
from hwr_jax.models.model import Model


class Layer(NamedTuple):
    """One call of a layer."""

    taken: Array  # [B, ...], its input
    given: Array  # [B, ...], its output, before any activation


def watch(model: Model, variables: Tree, image: jax.Array, layer: str) -> tuple[jax.Array, Layer]:
    """Applies a network to standardised images [B, H, W, 1] as in evaluation; returns the logits, and what the layer of
    that name (see `model.layer_names`; of one inside a block Block_0/Conv_0) took and gave.

    Raises:
      ValueError: the network has no such layer.
    """
    calls: list[Layer] = []

    def note(call: Any, arguments: tuple, options: dict, context: nn.module.InterceptorContext) -> Any:
        given = call(*arguments, **options)
        if context.module.path == tuple(layer.split("/")) and context.method_name == "__call__":
            calls.append(Layer(arguments[0], given))
        return given

    with nn.intercept_methods(note):
        logits, _ = model.apply(variables, image, train=False)
    if not calls:
        raise ValueError(f"the network has no layer {layer!r}")
    return logits, calls[-1]
