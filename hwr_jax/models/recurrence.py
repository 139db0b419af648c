"""Recurrent layers: a sequence is read by Flax's cells in a loop of XLA, or as a whole by our compiled kernel.

Both have the same parameters, under the same names and with the same initial values.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hwr_jax.core.types import Tree
from hwr_jax.models.kernels import calls, reference
from hwr_jax.models.kernels import recurrent as compiled
from hwr_jax.models.layers import Dropout

CELLS = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell, "simple": nn.SimpleCell}
CHOICES = ("auto", "scan", "compiled")


def chosen(name: str, *, train: bool, precision: str = "float32") -> str:
    """Returns how recurrent layers are read here, 'scan' or 'compiled': 'auto' is 'compiled' on a CPU, in float32 and
    where the kernel can be built, else 'scan'.

    A run that was trained with 'compiled' is evaluated with 'scan' where there is no such kernel.

    Raises:
      ConfigError: 'compiled' to train, and this machine has no such kernel; the sentence says why.
    """
    if name == "auto":
        return "compiled" if calls.fit(precision) else "scan"
    if name == "compiled" and not calls.available():
        if not train:
            return "scan"
        raise calls.refusal("recurrence", "auto or scan")
    return name


def stacked(network: Any, x: jax.Array, train: bool) -> jax.Array:
    """Reads x [B, T, C] by the recurrent layers of a network, each with dropout: [B, T, width], twice as wide with both
    directions. Inside the network, whose fields say which layers (see `rnn.RNN`)."""
    for _ in range(network.layers):
        x = recurrent(
            x,
            cell=network.cell,
            width=network.width,
            bidirectional=network.bidirectional,
            dtype=network.dtype,
            how=network.recurrence,
        )
        x = Dropout(network.dropout, network.axis_name)(x, train)
    return x


def recurrent(x: jax.Array, *, cell: str, width: int, bidirectional: bool, dtype: DTypeLike, how: str) -> jax.Array:
    """Reads x [B, T, C] step by step; returns [B, T, width], twice as wide with both directions. Inside a module.

    Args:
      x: the sequences.
      cell: one of `CELLS`.
      width: of the state, each direction.
      bidirectional: whether a second cell also reads backwards.
      dtype: of the result, and of what the layer computes.
      how: 'scan' or 'compiled', which takes float32 alone (see `chosen`).
    """
    directions = range(1 + bidirectional)
    readers = [CELLS[cell](width, dtype=dtype) for _ in directions]
    first = x[:, 0]
    if how == "compiled":
        for reader in readers:
            if reader.is_initializing():
                reader(reader.initialize_carry(jax.random.key(0), first.shape), first)  # makes the parameters
        blocks = [_blocks(reader.variables["params"], cell) for reader in readers]
        out = compiled.read(x, *(jnp.stack(each) for each in zip(*blocks, strict=True)), cell=cell)
        return out.reshape(*out.shape[:2], -1)
    read: list[Any] = []
    for reader, reverse in zip(readers, directions, strict=True):
        zeros = reader.initialize_carry(jax.random.key(0), first.shape)  # the default is float32 whatever the dtype
        # Made from x: under shard_map the loop's carry varies between devices, and a constant does not.
        zeros = jax.tree.map(lambda c: c.astype(dtype) + 0 * first[:, :1].astype(dtype), zeros)
        read.append(nn.RNN(reader, reverse=bool(reverse), keep_order=True)(x, initial_carry=zeros))
    return jnp.concatenate(read, axis=-1)


def _blocks(params: Tree, cell: str) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the parameters of a cell as the kernel takes them: of inputs [C, blocks, H] and state [H, blocks, H], and
    the bias [blocks, H]."""
    inputs, state = reference.OF_INPUTS[cell], reference.OF_STATE[cell]
    names = dict(zip(inputs, inputs, strict=True)) | {"m": "n"}  # Flax's hn is what r is multiplied with

    def of(side: str, block: str) -> dict[str, jax.Array]:
        return params[side if cell == "simple" else side + names[block]]

    every = [(block, of(side, block)) for side, blocks in (("i", inputs), ("h", state)) for block in blocks]
    biases = {block: p["bias"] for block, p in every if "bias" in p}
    return (
        jnp.stack([of("i", block)["kernel"] for block in inputs], axis=1),
        jnp.stack([of("h", block)["kernel"] for block in state], axis=1),
        jnp.stack([biases[block] for block in reference.GATES[cell]]),
    )
