"""Data sets as verified arrays: find, cache, verify, split. Importing this package imports no jax."""

from hwr_jax.data.loading import DATASETS, GLYPHS, OWN, SOURCES, STRINGS, DataMissing, Reading, load, with_classes

__all__ = ["DATASETS", "GLYPHS", "OWN", "SOURCES", "STRINGS", "DataMissing", "Reading", "load", "with_classes"]
