"""A small builder of ONNX graphs: one method for each kind of layer that the networks have. Knows no network.

Images are [N, C, H, W], as ONNX wants them; the kernels come as flax keeps them. Source: the operators of ONNX's
default domain, https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwr_jax.core.errors import ConfigError

OPSET = 20  # the first with Gelu; onnxruntime has it since 1.17
IR_VERSION = 9  # of the file, as old as OPSET
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {  # config.model.activation, where it is one node
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {}),
    "gelu": ("Gelu", {"approximate": "tanh"}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
}
GATES = {  # config.model.cell -> operator, prefix of flax's arrays, and its gates in ONNX's order
    "lstm": ("LSTM", "OptimizedLSTMCell", "iofg"),
    "gru": ("GRU", "GRUCell", "zrn"),
    "simple": ("RNN", "SimpleCell", ("",)),
}


class Graph:
    """A graph under construction. A value is known by its name, which the methods take and return."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._prefix, self._count = "", 0

    def within(self, prefix: str) -> None:
        """Begins the names of what is added from now on with `prefix`."""
        self._prefix = prefix

    def add(self, operator: str, *inputs: str, output: str = "", outputs: int = 1, **attributes: Any) -> str:
        """Adds a node; returns the name of its last output: those before it, if any, are left out."""
        from onnx import helper

        self._count += 1
        name = f"{self._prefix}{operator}_{self._count}"
        made = output or name
        self.nodes.append(helper.make_node(operator, inputs, ["", "", made][-outputs:], name=name, **attributes))
        return made

    def array(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Adds a constant array of any shape under its own name, and returns that. Raises ValueError if it is taken."""
        made = f"{self._prefix}{name}"
        if made in self.arrays:
            raise ValueError(f"there are two arrays {made!r} in the graph")
        self.arrays[made] = np.ascontiguousarray(value, dtype)
        return made

    def numbers(self, *values: int) -> str:
        """Adds whole numbers (a shape, axes) as an array, once for each content."""
        name = "_".join(map(str, values)).replace("-", "minus") or "none"
        made = f"int64_{name}"
        self.arrays.setdefault(made, np.asarray(values, np.int64))
        return made

    def convolution(self, x: str, name: str, of: dict, *, stride: int = 1, padding: str | int = "VALID") -> str:
        """[N, C, H, W] -> [N, D, H', W']. of: "kernel" [h, w, C, D] and, perhaps, "bias" [D]. padding: VALID, SAME
        (zeros, the odd one after the image), or pixels on each side."""
        kernel = np.asarray(of["kernel"]).transpose(3, 2, 0, 1)
        how: dict[str, Any] = {"kernel_shape": list(kernel.shape[2:]), "strides": [stride, stride]}
        inputs = [x, self.array(f"{name}/kernel", kernel)]
        if "bias" in of:
            inputs.append(self.array(f"{name}/bias", of["bias"]))
        if padding == "SAME" and stride > 1:  # how many zeros depends on the image's size
            how["auto_pad"] = "SAME_UPPER"
        elif padding == "SAME":
            before = [(side - 1) // 2 for side in kernel.shape[2:]]
            how["pads"] = [*before, *(side - 1 - b for side, b in zip(kernel.shape[2:], before, strict=True))]
        else:
            how["pads"] = [0 if padding == "VALID" else padding] * 4
        return self.add("Conv", *inputs, **how)

    def pooling(self, x: str, kind: str, rows: int, columns: int) -> str:
        """The maximum (MaxPool) or mean (AveragePool) of windows that lie side by side; an odd rest is left out."""
        return self.add(kind, x, kernel_shape=[rows, columns], strides=[rows, columns])

    def dense(self, x: str, name: str, of: dict) -> str:
        """[..., I] -> [..., O]. of: "kernel" [I, O] and "bias" [O]."""
        y = self.add("MatMul", x, self.array(f"{name}/kernel", of["kernel"]))
        return self.add("Add", y, self.array(f"{name}/bias", of["bias"]))

    def dense_of_image(self, x: str, name: str, of: dict, channels: int) -> str:
        """[N, C, H, W] -> [N, O]. of: "kernel" [H * W * C, O], as flax flattens an image, and "bias"."""
        kernel = np.asarray(of["kernel"])
        kernel = kernel.reshape(-1, channels, kernel.shape[-1]).swapaxes(0, 1).reshape(kernel.shape)
        return self.dense(self.add("Flatten", x), name, {**of, "kernel": kernel})

    def activation(self, x: str, kind: str) -> str:
        """Applies config.model.activation. Raises ConfigError for one that is not known here."""
        if kind in ACTIVATIONS:
            operator, attributes = ACTIVATIONS[kind]
            return self.add(operator, x, **attributes)
        if kind == "identity":
            return x
        if kind == "silu":
            return self.add("Mul", x, self.add("Sigmoid", x))
        if kind == "mish":
            return self.add("Mul", x, self.add("Tanh", self.add("Softplus", x)))
        raise ConfigError(f"config.model.activation={kind} cannot be exported to ONNX")

    def affine(self, x: str, name: str, scale: Any, shift: Any, trailing: int = 0) -> str:
        """x * scale [C] + shift [C], where `trailing` axes follow that of the channels."""
        shape = (-1, *(1,) * trailing)
        y = self.add("Mul", x, self.array(f"{name}/scale", np.reshape(scale, shape)))
        return self.add("Add", y, self.array(f"{name}/shift", np.reshape(shift, shape)))

    def layer_norm(self, x: str, name: str, of: dict, epsilon: float) -> str:
        """Over the channels of [..., C]."""
        scale, bias = (self.array(f"{name}/{key}", of[key]) for key in ("scale", "bias"))
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def group_norm(self, x: str, name: str, of: dict, groups: int, epsilon: float, spatial: int) -> str:
        """Over groups of channels of [N, C, ...] and the `spatial` axes after them, of which the last may vary."""
        ones, zeros = (self.array(f"{name}/{key}", np.full(groups, v)) for key, v in (("ones", 1), ("zeros", 0)))
        y = self.add("Reshape", x, self.numbers(0, groups, -1))
        y = self.add("InstanceNormalization", y, ones, zeros, epsilon=epsilon)
        y = self.add("Reshape", y, self.add("Shape", x))
        return self.affine(y, name, of["scale"], of["bias"], spatial)

    def recurrent(self, x: str, name: str, cells: list[dict], kind: str, *, last: bool) -> str:
        """Reads [T, N, C] forwards with the first cell and backwards with the second, if there is one.

        Returns [T, N, directions * width] or, if `last`, only each direction's last state [N, directions * width].
        """
        operator, _, gates = GATES[kind]
        count, width = len(cells), np.shape(_cell(cells[0], "h", gates[0])["kernel"])[0]
        arrays = [_arrays(cell, kind) for cell in cells]
        inputs = [
            self.array(f"{name}/{key}", np.stack([a[i] for a in arrays])) for i, key in enumerate(("W", "R", "B"))
        ]
        direction = "bidirectional" if count == 2 else "forward"
        how: dict[str, Any] = {"hidden_size": width, "direction": direction, "outputs": 2 if last else 1}
        if kind == "gru":
            how["linear_before_reset"] = 1  # as flax and cuDNN have it
        y = self.add(operator, x, *inputs, **how)
        if last:  # [directions, N, width]
            return self.add("Reshape", self.add("Transpose", y, perm=[1, 0, 2]), self.numbers(0, count * width))
        return self.add("Reshape", self.add("Transpose", y, perm=[0, 2, 1, 3]), self.numbers(0, 0, count * width))


def _cell(cell: dict, of: str, gate: str) -> dict:
    return cell[f"{of}{gate}"]


def _arrays(cell: dict, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A cell's weights as ONNX has them: W [gates * width, C], R [gates * width, width], B [2 * gates * width]."""
    gates = GATES[kind][2]
    parts = [[_cell(cell, of, gate) for gate in gates] for of in "ih"]
    kernels = [np.concatenate([np.asarray(p["kernel"]).T for p in part]) for part in parts]
    width = kernels[1].shape[1]
    biases = [np.concatenate([np.asarray(p.get("bias", np.zeros(width))) for p in part]) for part in parts]
    return kernels[0], kernels[1], np.concatenate(biases)
