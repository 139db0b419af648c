"""A model as StableHLO: the very program that JAX runs, its weights inside, for `jax.export.deserialize`.

The batch is symbolic; the width of a line is not, for the loop over its columns has a fixed length.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax.inference.export.source import Source, probabilities

PLATFORMS = ("cpu", "cuda", "tpu")
IMAGES_PER_CALL = 500  # bounds the memory of a call


def exported(source: Source, *, batch: int | None = None) -> jax.export.Exported:
    """Returns the program for images float32 [N, H, W, 1]. batch: N; None: any."""
    from jax import export

    height, width = source.facts["shape"][:2]
    count = export.symbolic_shape("N")[0] if batch is None else batch
    given = jax.ShapeDtypeStruct((count, height, width, 1), jnp.float32)
    return export.export(jax.jit(probabilities(source)), platforms=PLATFORMS if batch is None else ("cpu",))(given)


def build(source: Source) -> bytes:
    """Returns the file."""
    return bytes(exported(source).serialize())


def run(path: Path, images: np.ndarray) -> np.ndarray:
    """Returns what a file computes of images [N, H, W, 1] with grey values 0..255."""
    from jax import export

    call = jax.jit(export.deserialize(bytearray(path.read_bytes())).call)
    firsts = range(0, len(images), IMAGES_PER_CALL)
    return np.concatenate([np.asarray(call(images[f : f + IMAGES_PER_CALL].astype(np.float32))) for f in firsts])
