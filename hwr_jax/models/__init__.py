"""The networks, behind one pair of functions: the only folder that imports `flax.linen`."""

from hwr_jax.models.model import Model, describe, head_of, layer_names, make
from hwr_jax.models.registry import MODELS

__all__ = ["MODELS", "Model", "describe", "head_of", "layer_names", "make"]
