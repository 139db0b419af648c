"""hwr_jax: handwriting recognition in JAX, from an ablation with error bars to a scanned picture read.

Importing the package costs nothing: jax and every other heavy library is imported by the module that needs it. It
appends one flag to XLA_FLAGS (see `xla`), which JAX reads when it starts.
"""

from hwr_jax.core import xla

__version__ = "0.1.0"

xla.keep_reductions_right()
