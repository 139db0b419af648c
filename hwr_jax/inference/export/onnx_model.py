"""A model as an ONNX file: grey values in, probabilities out, with all that a reader must know in its metadata."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np

import hwr_jax
from hwr_jax.core.errors import ConfigError
from hwr_jax.inference.export import networks
from hwr_jax.inference.export.graph import IR_VERSION, OPSET, Graph
from hwr_jax.inference.export.source import Source
from hwr_jax.inference.onnx_reader import INPUT, METADATA, OUTPUT

NOT_POSSIBLE = {  # (section, key) of the config -> the value that can be exported, and why no other
    ("model", "precision"): ("float32", "layers that compute in bfloat16 give other numbers than ONNX's in float32"),
    ("frame", "deskew"): (False, "ONNX has no node for it"),
    ("frame", "centre"): (False, "ONNX has no node for it"),
}


def refuse(source: Source) -> None:
    """Raises ConfigError for an option that cannot be exported."""
    for (section, key), (allowed, why) in NOT_POSSIBLE.items():
        if (value := source.network[section][key]) != allowed:
            raise ConfigError(
                f"config.{section}.{key}={value} cannot be exported to ONNX, as {why}: use --format=stablehlo"
            )


def build(source: Source) -> Any:
    """Returns the model as an `onnx.ModelProto`, checked by ONNX itself, without metadata. See `refuse` first."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    height, width = source.facts["shape"][:2]
    strings, classes = source.model.reads_strings, len(source.facts["classes"])
    graph = Graph()
    x, views = _prepared(graph, source, width)
    found = []
    for index, seed in enumerate(source.model.seeds):
        graph.within(f"seed_{seed}/" if len(source.model.seeds) > 1 else "")
        params, model_state = source.of_seed(index)
        layers = networks.Layers(params, model_state.get("batch_stats", {}))
        scores = networks.scores(graph, x, layers, source.network["model"])
        if views > 1:
            scores = graph.add("Reshape", graph.add("LogSoftmax", scores, axis=-1), graph.numbers(views, -1, classes))
            scores = graph.add("ReduceMean", scores, graph.numbers(0), keepdims=0)
        alone = len(source.model.seeds) == 1
        found.append(graph.add("Softmax", scores, axis=-1, output=OUTPUT if alone else ""))
    graph.within("")
    if len(found) > 1:
        graph.add("Mean", *found, output=OUTPUT)
    shapes = [["N", height, "W" if strings else width, 1], ["N", "T", classes + 1] if strings else ["N", classes]]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip((INPUT, OUTPUT), shapes, strict=True)
    )
    arrays = [numpy_helper.from_array(value, name) for name, value in graph.arrays.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, source.network["model"]["name"], [given], [made], arrays),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hwr_jax",
        producer_version=hwr_jax.__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def with_metadata(model: Any, record: dict[str, Any]) -> bytes:
    """Returns the file: the model with `record` as JSON in its metadata."""
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(record, sort_keys=True, allow_nan=False)
    return model.SerializeToString(deterministic=True)


def _prepared(graph: Graph, source: Source, width: int) -> tuple[str, int]:
    """Adds what comes before the network: framing, shifted views (one after the other in the batch), standardising.
    Returns the name of the images [views * N, 1, H', W'] and the number of views."""
    frame, shift = source.network["frame"], source.recipe.eval_shift_px
    x = graph.add("Transpose", INPUT, perm=[0, 3, 1, 2])
    height = source.facts["shape"][0]
    if margin := frame["crop_px"]:
        ends = graph.numbers(-margin, -margin)
        x = graph.add("Slice", x, graph.numbers(margin, margin), ends, graph.numbers(2, 3))
        height, width = height - 2 * margin, width - 2 * margin
    if (side := frame["side_px"]) and (height, width) != (side, side):
        x = graph.add("MatMul", graph.array("frame/rows", _resizing(height, side)), x)
        x = graph.add("MatMul", x, graph.array("frame/columns", _resizing(width, side).T))
        height = width = side
    if shift:
        padded = graph.add("Pad", x, graph.numbers(0, 0, shift, shift, 0, 0, shift, shift))
        corners = product(range(2 * shift + 1), repeat=2)
        slices = [((top, left), (top + height, left + width)) for top, left in corners]
        axes = graph.numbers(2, 3)
        views = [graph.add("Slice", padded, graph.numbers(*a), graph.numbers(*b), axes) for a, b in slices]
        x = graph.add("Concat", *views, axis=0)
    mean, std = source.recipe.mean, source.recipe.std
    return graph.affine(x, "standardise", 1 / (255 * std), -mean / std), (2 * shift + 1) ** 2


def _resizing(length: int, side: int) -> np.ndarray:
    """The matrix [side, length] of a linear resize, as `transforms.frame` does it."""
    import jax

    return np.asarray(jax.image.resize(np.eye(length, dtype=np.float32), (side, length), "linear"))
