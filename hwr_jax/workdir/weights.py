"""The weights of a released model: `model.safetensors`, one file that holds arrays and nothing that could run.

It stands beside config.json, environment.json and summary.json, in place of a run's checkpoints. Imports no jax.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from hwr_jax.core import files
from hwr_jax.core.errors import RunFolderError
from hwr_jax.core.printable import PACKAGE
from hwr_jax.core.types import Tree

NAME = "model.safetensors"
DIGEST = "sha256"  # the key of the metadata: of all arrays, by name
HEADER = 8  # bytes before the header: its length


def write(folder: Path, params: Tree, model_state: Tree) -> None:
    """Writes the weights of all seeds, [S, ...], to `folder`, atomically."""
    from safetensors.numpy import save

    arrays = _flat({"params": params, "model_state": model_state})
    files.write_atomic(folder / NAME, save(arrays, {DIGEST: _digest(arrays)}))


def read(folder: Path) -> tuple[Tree, Tree]:
    """Returns (params, model_state) of all seeds, NumPy arrays [S, ...].

    Raises:
      RunFolderError: the file is damaged.
      OSError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / NAME
    data = path.read_bytes()
    try:
        arrays = load(data)
        size = int.from_bytes(data[:HEADER], "little")
        metadata = json.loads(data[HEADER : HEADER + size]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError) as error:
        raise RunFolderError(f"{path} is damaged ({error}): install {PACKAGE} again, or export the run again") from None
    if metadata.get(DIGEST) != _digest(arrays):
        raise RunFolderError(f"{path} is damaged (its sum is wrong): install {PACKAGE} again, or export the run again")
    tree = _nested(arrays)
    return tree.get("params", {}), tree.get("model_state", {})


def _digest(arrays: dict[str, np.ndarray]) -> str:
    sums = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sums.update(f"{name} {array.dtype} {array.shape}".encode())
        sums.update(np.ascontiguousarray(array).tobytes())
    return sums.hexdigest()


def _flat(tree: Tree, path: str = "") -> dict[str, np.ndarray]:
    """{"params/Conv_0/kernel": array} of nested dictionaries."""
    if not isinstance(tree, dict):
        return {path: np.ascontiguousarray(tree)}
    return {k: v for name, part in tree.items() for k, v in _flat(part, f"{path}/{name}".lstrip("/")).items()}


def _nested(arrays: dict[str, np.ndarray]) -> Tree:
    tree: dict = {}
    for path, array in arrays.items():
        *above, name = path.split("/")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[name] = array
    return tree
