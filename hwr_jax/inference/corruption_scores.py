"""How much accuracy a model keeps on test images made worse: `data.corruptions`, every kind and strength."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwr_jax.core.types import Arrays
from hwr_jax.data import corruptions
from hwr_jax.inference.reader import Reader


def score(model: Reader, arrays: Arrays, *, log: Callable[[str], object]) -> dict[str, Any]:
    """Reads every image once for each kind and strength.

    Args:
      model: of single characters.
      arrays: images uint8 [N, H, W, 1] and labels int32 [N].
      log: called with a sentence for each family.

    Returns:
      `clean` (accuracy), `accuracy` {kind: [of strength 1 to 5]}, `kinds` and `families` {name: mean}, `mean`.
    """
    images, label = np.asarray(arrays.image)[..., 0], np.asarray(arrays.label)
    found: dict[str, list[float]] = {}

    def accuracy(images: np.ndarray) -> float:
        return float(np.mean(model.predict(images).argmax(-1) == label))

    for family, kinds in corruptions.FAMILIES.items():
        log(f"Reading {len(label):,} images with {family}: {', '.join(kinds)}")
        for kind in kinds:
            found[kind] = [accuracy(corruptions.corrupt(images, kind, s)) for s in corruptions.STRENGTHS]
    mean = {kind: float(np.mean(values)) for kind, values in found.items()}
    families = {name: float(np.mean([mean[kind] for kind in kinds])) for name, kinds in corruptions.FAMILIES.items()}
    overall = float(np.mean(list(mean.values())))
    return {"clean": accuracy(images), "accuracy": found, "kinds": mean, "families": families, "mean": overall}
