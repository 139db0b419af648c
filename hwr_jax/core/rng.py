"""Random keys: every draw is a pure function of (seed, stream, step). Owns the streams; draws nothing itself.

No key is ever split and carried along. So a resumed run, a run on other devices and one seed of many draw the same
numbers (JAX's default threefry generator gives the same bits for any sharding).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

STREAMS = {"init": 0, "order": 1, "augment": 2, "dropout": 3, "figures": 4, "mix": 5}


def root(seed: int | jax.Array) -> jax.Array:
    """Returns the root key [] of a seed (0 <= seed < 2**31)."""
    return jax.random.key(seed, impl="threefry2x32")


def stream(key: jax.Array, name: str, step: jax.Array | int = 0) -> jax.Array:
    """Returns the key [] of one stream at one step (for `order` the step is the epoch).

    >>> key = stream(root(0), "dropout", 7)
    >>> bool(key == stream(root(0), "dropout", 7)), bool(key == stream(root(0), "dropout", 8))
    (True, False)
    """
    return jax.random.fold_in(jax.random.fold_in(key, STREAMS[name]), step)


def per_example(key: jax.Array, position: jax.Array) -> jax.Array:
    """Returns one key per example [B] from the positions int32 [B] in the global batch."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(position)


def batch_position(size: int, axis_name: str | None) -> jax.Array:
    """Returns the positions int32 [size] of this device's examples in the global batch.

    Args:
      size: examples on this device.
      axis_name: under pmap or shard_map, the axis over which the batch is split; None: the whole batch is here.
    """
    first = 0 if axis_name is None else lax.axis_index(axis_name) * size
    return first + jnp.arange(size, dtype=jnp.int32)
