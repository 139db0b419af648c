"""The networks of `models/` as ONNX graphs, one function each: standardised images to scores.

Each follows the `__call__` of its module, layer by layer, and takes the arrays by the names that flax gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwr_jax.core.types import Tree
from hwr_jax.inference.export.graph import GATES, Graph

EPSILON = 1e-5  # of models.layers.Norm
EPSILON_OF_LAYERS = 1e-6  # of flax's LayerNorm, which vit uses as it is
GROUP = 8  # channels of a group, or the largest number below that divides them


class Layers:
    """The arrays of one seed, handed out layer by layer: flax numbers those of one kind in the order of their use."""

    def __init__(self, params: Tree, statistics: Tree):
        self._params, self._statistics = dict(params), dict(statistics)
        self._counts: dict[str, int] = {}

    def next(self, kind: str) -> tuple[str, dict]:
        """Returns the name and the arrays of the next layer of a kind."""
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        name = f"{kind}_{number}"
        return name, self._params.pop(name)

    def named(self, name: str) -> np.ndarray:
        """Returns an array, of any shape, that belongs to no layer."""
        return self._params.pop(name)

    def statistics(self, name: str) -> dict:
        """Returns the running statistics of a layer."""
        return self._statistics.pop(name)

    def unused(self) -> list[str]:
        """Returns the names of what nobody has asked for."""
        return [*self._params, *self._statistics]


def scores(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    """Adds a network.

    Args:
      graph: what it is added to.
      x: the name of the standardised images [N, 1, H, W].
      layers: its arrays.
      model: config.model as a dictionary.

    Returns:
      The name of the scores [N, K], or [N, T, K + 1] of a network that reads strings.

    Raises:
      ConfigError: an option that cannot be exported.
      ValueError: arrays that the network does not use (a defect of this file).
    """
    found = NETWORKS[model["name"]](graph, x, layers, model)
    if unused := layers.unused():
        raise ValueError(f"the exported {model['name']} uses all arrays but {', '.join(unused)}")
    return found


def _normed(graph: Graph, x: str, layers: Layers, model: dict[str, Any], axes: str) -> str:
    """Norm and activation. axes: of x, such as NCHW."""
    kind, spatial = model["norm"], len(axes) - 1 - axes.index("C")
    if kind != "none":
        name, of = layers.next("Norm")
    if kind == "batch":
        of, measured = of["BatchNorm_0"], layers.statistics(name)["BatchNorm_0"]
        scale = of["scale"] / np.sqrt(measured["var"] + np.float32(EPSILON))
        x = graph.affine(x, name, scale, of["bias"] - measured["mean"] * scale, spatial)
    elif kind == "layer":
        x = _transposed(graph, x, axes, axes.replace("C", "") + "C")
        x = graph.layer_norm(x, name, of["LayerNorm_0"], EPSILON)
        x = _transposed(graph, x, axes.replace("C", "") + "C", axes)
    elif kind == "group":
        of = of["GroupNorm_0"]
        channels = len(of["scale"])
        size = max(n for n in range(1, GROUP + 1) if channels % n == 0)
        first = "NC" + axes.replace("N", "").replace("C", "")
        x = _transposed(graph, x, axes, first)
        x = graph.group_norm(x, name, of, channels // size, EPSILON, len(first) - 2)
        x = _transposed(graph, x, first, axes)
    return graph.activation(x, model["activation"])


def _transposed(graph: Graph, x: str, axes: str, wanted: str) -> str:
    return x if axes == wanted else graph.add("Transpose", x, perm=[axes.index(a) for a in wanted])


def _mlp(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    x = graph.add("Flatten", x)
    for _ in model["hidden"]:
        x = _normed(graph, graph.dense(x, *layers.next("Dense")), layers, model, "NC")
    return graph.dense(x, *layers.next("Dense"))


def _scratch(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    return _mlp(graph, x, layers, {**model, "norm": "none"})


def _cnn(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    for stride, pooled in zip(model["strides_px"], model["pools"], strict=True):
        x = graph.convolution(x, *layers.next("Conv"), stride=stride, padding=model["padding"].upper())
        x = graph.pooling(x, "MaxPool", 2, 2) if pooled else x
        x = _normed(graph, x, layers, model, "NCHW")
    channels = model["features"][-1] if model["features"] else 1
    x = graph.dense_of_image(x, *layers.next("Dense"), channels)
    return graph.dense(_normed(graph, x, layers, model, "NC"), *layers.next("Dense")) if model["dense"] else x


def _lenet(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    for padding in (2, 0):
        x = graph.convolution(x, *layers.next("Conv"), padding=padding)
        x = graph.pooling(graph.activation(x, model["activation"]), "AveragePool", 2, 2)
    x = graph.dense_of_image(x, *layers.next("Dense"), 16)
    for _ in range(2):
        x = graph.dense(graph.activation(x, model["activation"]), *layers.next("Dense"))
    return x


def _resnet(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    x = graph.convolution(x, *layers.next("Conv"), stride=model["stride_px"], padding="SAME")
    channels = model["features"][0]
    for stage, features in enumerate(model["features"]):
        for block in range(model["blocks"]):
            step = 2 if stage and not block else 1
            y = _normed(graph, x, layers, model, "NCHW")
            if channels != features or step != 1:
                x = graph.convolution(y, *layers.next("Conv"), stride=step, padding="SAME")
            y = graph.convolution(y, *layers.next("Conv"), stride=step, padding="SAME")
            y = _normed(graph, y, layers, model, "NCHW")
            x = graph.add("Add", x, graph.convolution(y, *layers.next("Conv"), padding="SAME"))
            channels = features
    x = _normed(graph, x, layers, model, "NCHW")
    x = graph.add("ReduceMean", x, graph.numbers(2, 3), keepdims=0)
    return graph.dense(x, *layers.next("Dense"))


def _read(graph: Graph, x: str, layers: Layers, model: dict[str, Any], *, last: bool) -> str:
    """The recurrent layers of rnn and crnn, on [T, N, C]; `last`: only the last state of the last layer is wanted."""
    for layer in range(model["layers"]):
        cells = [layers.next(GATES[model["cell"]][1]) for _ in range(1 + model["bidirectional"])]
        only_last = last and layer == model["layers"] - 1
        x = graph.recurrent(x, cells[0][0], [of for _, of in cells], model["cell"], last=only_last)
    return x


def _rnn(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    x = graph.add("Squeeze", x, graph.numbers(1))
    x = graph.add("Transpose", x, perm=[1, 0, 2])
    return graph.dense(_read(graph, x, layers, model, last=True), *layers.next("Dense"))


def _crnn(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    for i in range(len(model["features"])):
        x = graph.convolution(x, *layers.next("Conv"), padding="SAME")
        x = graph.pooling(x, "MaxPool", 2, 2 if 2**i < model["column_px"] else 1)
        x = _normed(graph, x, layers, model, "NCHW")
    x = graph.add("Transpose", x, perm=[3, 0, 2, 1])
    x = graph.add("Reshape", x, graph.numbers(0, 0, -1))  # [T, N, H * C], as flax flattens a column
    if model["dense"]:
        x = _normed(graph, graph.dense(x, *layers.next("Dense")), layers, model, "TNC")
    x = graph.dense(_read(graph, x, layers, model, last=False), *layers.next("Dense"))
    return graph.add("Transpose", x, perm=[1, 0, 2])


def _vit(graph: Graph, x: str, layers: Layers, model: dict[str, Any]) -> str:
    side, width = model["patch_px"], model["width"]
    name, of = layers.next("Dense")  # of each patch: the same as a convolution that does not overlap
    of = {**of, "kernel": np.reshape(of["kernel"], (side, side, -1, width))}
    x = graph.convolution(x, name, of, stride=side)
    x = graph.add("Transpose", graph.add("Reshape", x, graph.numbers(0, width, -1)), perm=[0, 2, 1])
    x = graph.add("Add", x, graph.array("position", layers.named("position")))
    for _ in range(model["layers"]):
        y = graph.layer_norm(x, *layers.next("LayerNorm"), EPSILON_OF_LAYERS)
        x = graph.add("Add", x, _attention(graph, y, *layers.next("MultiHeadDotProductAttention"), model["heads"]))
        y = graph.layer_norm(x, *layers.next("LayerNorm"), EPSILON_OF_LAYERS)
        y = graph.activation(graph.dense(y, *layers.next("Dense")), model["activation"])
        x = graph.add("Add", x, graph.dense(y, *layers.next("Dense")))
    x = graph.layer_norm(x, *layers.next("LayerNorm"), EPSILON_OF_LAYERS)
    x = graph.add("ReduceMean", x, graph.numbers(1), keepdims=0)
    return graph.dense(x, *layers.next("Dense"))


def _attention(graph: Graph, x: str, name: str, of: dict, heads: int) -> str:
    """Scaled dot-product attention of [N, T, C] with itself (Vaswani et al. 2017)."""
    width = np.shape(of["out"]["kernel"])[-1]
    depth = width // heads

    def projected(part: str, perm: list[int], scale: float = 1) -> str:
        flat = {
            "kernel": np.reshape(of[part]["kernel"], (width, width)) * np.float32(scale),
            "bias": np.reshape(of[part]["bias"], width) * np.float32(scale),
        }
        y = graph.add("Reshape", graph.dense(x, f"{name}/{part}", flat), graph.numbers(0, 0, heads, depth))
        return graph.add("Transpose", y, perm=perm)

    query, key = projected("query", [0, 2, 1, 3], depth**-0.5), projected("key", [0, 2, 3, 1])
    weight = graph.add("Softmax", graph.add("MatMul", query, key), axis=-1)
    y = graph.add("MatMul", weight, projected("value", [0, 2, 1, 3]))
    y = graph.add("Reshape", graph.add("Transpose", y, perm=[0, 2, 1, 3]), graph.numbers(0, 0, width))
    out = {"kernel": np.reshape(of["out"]["kernel"], (width, width)), "bias": of["out"]["bias"]}
    return graph.dense(y, f"{name}/out", out)


NETWORKS: dict[str, Callable[[Graph, str, Layers, dict[str, Any]], str]] = {  # config.model.name -> its graph
    "mlp": _mlp,
    "scratch": _scratch,
    "cnn": _cnn,
    "lenet": _lenet,
    "resnet": _resnet,
    "rnn": _rnn,
    "vit": _vit,
    "crnn": _crnn,
}
