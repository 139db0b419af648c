"""A residual network in NumPy: for those who read a few pictures and will not wait until JAX has started and compiled.

It computes what `models.resnet` computes (to the rounding of float32), in images per second about half as fast on a
CPU once both run, and it is ready in milliseconds. Imports no jax.

The threads are its own, a chunk of images each, and BLAS gets one: on a machine that is busy with other work, BLAS's
threads wait for each other, and a digit took up to a hundred times as long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core import blas, cores
from hwr_jax.core.errors import ConfigError
from hwr_jax.inference.reader import Reader
from hwr_jax.workdir import weights

CHUNK = 32  # images at a time: their columns stay in the processor's cache
EPSILON = 1e-5  # of the batch normalisation
NEEDED = {  # what this file computes: key of the config -> its value
    "model.name": "resnet",
    "model.norm": "batch",
    "model.activation": "relu",
    "model.precision": "float32",
    "frame.deskew": False,
    "frame.centre": False,
    "frame.crop_px": 0,
    "frame.side_px": 0,
    "eval.shift_px": 0,
}


class _Net(NamedTuple):
    """The arrays of one seed, in the order of their use."""

    convolutions: list[np.ndarray]  # [k, k, C, D]
    norms: list[tuple[np.ndarray, np.ndarray]]  # scale and shift [C] of each normalisation, with its statistics
    dense: tuple[np.ndarray, np.ndarray]  # [C, K], [K]


@dataclass(frozen=True)
class LightReader(Reader):
    """A released `resnet`, all of its seeds. It never changes: threads may share it."""

    stages: tuple[int, ...]  # channels of each
    blocks: int  # of each stage
    stride: int  # of the first convolution
    nets: list[_Net]  # one for each seed
    threads: int | None = None  # that compute, at most; None: as many as there are cores

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See `Reader.predict`."""
        images = self.checked(images)
        chunks = [images[first : first + CHUNK] for first in range(0, len(images), CHUNK)]
        with blas.one_thread:
            threads = min(len(chunks), self.threads or cores.available())
            if threads < 2:
                found = list(map(self._of_chunk, chunks))
            else:
                with ThreadPoolExecutor(threads) as pool:
                    found = list(pool.map(self._of_chunk, chunks))
        return found[0] if len(found) == 1 else np.concatenate([np.zeros((0, len(self.classes)), np.float32), *found])

    def _of_chunk(self, images: np.ndarray) -> np.ndarray:
        mean, std = (np.float32(self.facts[name]) for name in ("mean", "std"))
        x = (images.astype(np.float32) / np.float32(255) - mean) / std
        return np.mean([self._forward(net, x) for net in self.nets], axis=0)

    def _forward(self, net: _Net, x: np.ndarray) -> np.ndarray:
        """The probabilities [B, K] of standardised images [B, H, W, 1]; the plan is that of `models.resnet.ResNet`."""
        kernel, norm = iter(net.convolutions), iter(net.norms)
        x = _convolve(x, next(kernel), self.stride)
        for stage, features in enumerate(self.stages):
            for block in range(self.blocks):
                step = 2 if stage and not block else 1
                y = _activate(x, norm)
                if x.shape[-1] != features or step != 1:
                    x = _convolve(y, next(kernel), step)
                y = _activate(_convolve(y, next(kernel), step), norm)
                x = x + _convolve(y, next(kernel), 1)
        weight, bias = net.dense
        logits = _activate(x, norm).mean((1, 2)) @ weight + bias
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        return odds / odds.sum(-1, keepdims=True)


def load(folder: Path) -> LightReader:
    """Loads a folder with config.json, environment.json and model.safetensors.

    Raises:
      ConfigError: another network than NEEDED, weights of another size, or no such folder.
      RunFolderError: damaged weights.
    """
    try:
        recorded, environment = (
            json.loads((folder / f"{name}.json").read_text()) for name in ("config", "environment")
        )
        params, state = weights.read(folder)
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} holds no released model: {error.filename} is missing") from None
    for key, value in NEEDED.items():
        section, name = key.split(".")
        if recorded[section][name] != value:
            raise ConfigError(f"{folder}: config.{key}={recorded[section][name]} is not possible here: use {value}")
    network = recorded["model"]
    seeds = len(params["Dense_0"]["bias"])
    nets = [_net(params, state["batch_stats"], seed) for seed in range(seeds)]
    norms = 2 * len(network["features"]) * network["blocks"] + 1
    if any(len(net.norms) != norms for net in nets):
        raise ConfigError(
            f"{folder}: the weights have {len(nets[0].norms)} normalisations, but its config names a network of {norms}"
        )
    return LightReader(
        environment["dataset"], tuple(network["features"]), network["blocks"], network["stride_px"], nets
    )


def _net(params: dict[str, Any], statistics: dict[str, Any], seed: int) -> _Net:
    norms = []
    for one, of in zip(_numbered(params, "Norm"), _numbered(statistics, "Norm"), strict=True):
        of_batch, measured = ({k: v[seed] for k, v in part["BatchNorm_0"].items()} for part in (one, of))
        scale = of_batch["scale"] / np.sqrt(measured["var"] + np.float32(EPSILON))
        norms.append((scale, of_batch["bias"] - measured["mean"] * scale))
    dense = params["Dense_0"]
    return _Net(
        [one["kernel"][seed] for one in _numbered(params, "Conv")], norms, (dense["kernel"][seed], dense["bias"][seed])
    )


def _numbered(tree: dict[str, Any], name: str) -> Iterator[Any]:
    """NAME_0, NAME_1, ..., as flax numbers the layers of one kind in the order of their use."""
    number = 0
    while f"{name}_{number}" in tree:
        yield tree[f"{name}_{number}"]
        number += 1


def _activate(x: np.ndarray, norms: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    scale, shift = next(norms)
    y = x * scale
    y += shift
    return np.maximum(y, 0, out=y)


def _convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """x [B, H, W, C] by kernel [k, k, C, D] with zeros around ("SAME"): [B, ceil(H / stride), ceil(W / stride), D]."""
    k, channels = kernel.shape[0], kernel.shape[-1]
    if k == 1:
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    images, height, width, inputs = x.shape
    sides = [-(-side // stride) for side in (height, width)]
    zeros = [max((n - 1) * stride + k - side, 0) for n, side in zip(sides, (height, width), strict=True)]
    top, left = (z // 2 for z in zeros)
    framed = np.zeros((images, height + zeros[0], width + zeros[1], inputs), x.dtype)
    framed[:, top : top + height, left : left + width] = x
    image, row, pixel, channel = framed.strides
    columns = np.lib.stride_tricks.as_strided(  # k pixels of a row lie beside each other: [B, H', W', k, k C]
        framed, (images, *sides, k, k * inputs), (image, stride * row, stride * pixel, row, channel), writeable=False
    ).reshape(-1, k * k * inputs)
    return (columns @ kernel.reshape(-1, channels)).reshape(-1, *sides, channels)
