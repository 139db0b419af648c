"""hwr_jax: handwriting recognition in JAX, from an ablation with error bars to a scanned picture read.

>>> import hwr_jax
>>> run = hwr_jax.train("digits:smoke", quiet=True)
>>> model = hwr_jax.load(run.folder)
>>> digits = hwr_jax.data.load("digits")
>>> model.predict(digits.test.image[:3]).shape
(3, 10)

Without a run, the model that comes with the package: `hwr_jax.load()`, `hwr_jax.scan("photo.jpg").text`.

Importing the package costs nothing: what is listed in `__all__` is imported when it is first used. It appends one flag
to XLA_FLAGS (see `core.xla`), which JAX reads when it starts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hwr_jax.core import interrupts, xla

if TYPE_CHECKING:
    from hwr_jax import data
    from hwr_jax.inference.packaged import load, scan, scan_pages
    from hwr_jax.pictures.normalise import digit_from_picture, line_from_picture
    from hwr_jax.training.api import train

__all__ = ["__version__", "data", "digit_from_picture", "line_from_picture", "load", "scan", "scan_pages", "train"]
__version__ = "0.1.0"

_HOMES = {  # of the names that are imported when they are first used (PEP 562)
    "digit_from_picture": "hwr_jax.pictures.normalise",
    "line_from_picture": "hwr_jax.pictures.normalise",
    "load": "hwr_jax.inference.packaged",
    "scan": "hwr_jax.inference.packaged",
    "scan_pages": "hwr_jax.inference.packaged",
    "train": "hwr_jax.training.api",
}

interrupts.handle_if_command()
xla.keep_reductions_right()


def __getattr__(name: str) -> Any:
    if name == "data":
        return importlib.import_module("hwr_jax.data")
    if name not in _HOMES:
        raise AttributeError(f"module 'hwr_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
