"""Smaller ONNX files: the large arrays are kept as int8 or float16 and become float32 when the file is loaded.

The layers compute in float32 as before, so a file of either kind is as fast as the original everywhere, and needs no
kernels of its own in a browser or on a phone: onnxruntime folds the casts and products of constants once, at loading.
int8 has one scale for each output of a layer, which is the largest weight of that output / 127.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("int8", "float16")
SMALLEST = 512  # numbers in an array that is worth it
INPUTS_OF = {  # operator -> the axes of its weights that belong to one output
    "Conv": (1, 2, 3),
    "MatMul": (0,),
    "GRU": (2,),
    "LSTM": (2,),
    "RNN": (2,),
}


def quantised(model: Any, kind: str) -> Any:
    """Returns a copy of an `onnx.ModelProto` with its large weights as `kind`, checked by ONNX itself."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    made = onnx.ModelProto()
    made.CopyFrom(model)
    operators = {name: node.op_type for node in made.graph.node for name in node.input}
    arrays, nodes = [], []
    for tensor in made.graph.initializer:
        value, name, axes = numpy_helper.to_array(tensor), tensor.name, INPUTS_OF.get(operators[tensor.name])
        if axes is None or value.ndim <= max(axes) or value.size < SMALLEST:  # a bias has fewer axes
            arrays.append(tensor)
            continue
        if kind == "float16":
            arrays.append(numpy_helper.from_array(value.astype(np.float16), f"{name}/float16"))
            nodes.append(helper.make_node("Cast", [f"{name}/float16"], [name], to=TensorProto.FLOAT))
            continue
        scale = np.abs(value).max(axes, keepdims=True) / np.float32(127)
        whole = np.round(value / np.where(scale > 0, scale, np.float32(1))).astype(np.int8)
        arrays += [numpy_helper.from_array(v, f"{name}/{key}") for key, v in (("int8", whole), ("step", scale))]
        nodes.append(helper.make_node("Cast", [f"{name}/int8"], [f"{name}/whole"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}/whole", f"{name}/step"], [name]))
    nodes += made.graph.node
    del made.graph.initializer[:], made.graph.node[:]
    made.graph.initializer.extend(arrays)
    made.graph.node.extend(nodes)
    onnx.checker.check_model(made, full_check=True)
    return made
