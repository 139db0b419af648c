"""The networks, behind one pair of functions: the only folder that imports `flax.linen`."""

from hwr_jax.models.model import MODELS, READERS, Model, describe, head_of, layer_names, make

__all__ = ["MODELS", "READERS", "Model", "describe", "head_of", "layer_names", "make"]
