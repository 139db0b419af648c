"""The networks, behind one pair of functions: the only folder that imports `flax.linen`."""

from hwr_jax.models.model import Model, describe, head_of, layer_names, make
from hwr_jax.models.registry import MODELS, READERS

__all__ = ["MODELS", "READERS", "Model", "describe", "head_of", "layer_names", "make"]
