"""Digests of arrays: equal if and only if every name, shape, dtype and bit is equal."""

from __future__ import annotations

import hashlib

import jax
import numpy as np

from hwr_jax.core.types import Tree


def of_tree(tree: Tree) -> str:
    """Returns the SHA-256 of a tree of arrays, hexadecimal."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
