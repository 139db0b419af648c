"""scikit-learn's 1,797 real handwritten digits of 8x8 pixels, made to MNIST's conventions. Needs no network.

Like every picture in the project, each digit is fitted into its 28x28 pixels by `pictures.normalise`.
"""

from __future__ import annotations

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data.content import Content
from hwr_jax.data.sources import Source
from hwr_jax.data.splits import carve
from hwr_jax.pictures.normalise import to_mnist

INK_LEVELS = 16  # a pixel counts the inked ones of its 4x4 block, 0..16
ENLARGE = 10  # finer than MNIST's grid, so that `to_mnist` averages as it does for any scan
PAPER, INK = 0.4, 0.7  # of an enlarged pixel: below is paper, above is full ink; near MNIST's mean ink, no gaps


def make(source: Source) -> Content:
    """The digits in scikit-learn's order, with a stratified test split.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.

    Raises:
      DataError: scikit-learn's are not the 1,797 examples expected.
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    image = np.stack([to_mnist(_sharp(ink / INK_LEVELS)) for ink in raw.images.astype(np.float32)])[..., None]
    every = Arrays(image, raw.target.astype(np.int32))
    if len(every.label) != source.train_examples + source.test_examples:
        raise DataError(f"scikit-learn's digits are {len(every.label)} examples, expected 1797")
    return Content(*carve(every, source.test_examples, stratified=True))


def _sharp(ink: np.ndarray) -> np.ndarray:
    """Undo the blur of 8x8 pixels: enlarge, then steepen the edges to MNIST's contrast.

    float32 [8, 8] -> float32 [100, 100], both 0..1, 1 = ink. A margin of one pixel lets the edges fall off.
    """
    from PIL import Image

    padded = Image.fromarray(np.pad(ink, 1))
    large = np.asarray(padded.resize((ENLARGE * padded.width, ENLARGE * padded.height), Image.Resampling.BICUBIC))
    return np.clip((large - PAPER) / (INK - PAPER), 0, 1)
