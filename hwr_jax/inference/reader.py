"""What every model offers to those who read with it, however it computes. Imports no jax."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core.printable import PACKAGE
from hwr_jax.pictures import decode, normalise
from hwr_jax.pictures.decode import PictureFile

BEAM = 8  # prefixes kept, at least, to rank strings


class Reading(NamedTuple):
    """What a model reads in one picture."""

    picture: str  # its path, or "the given bytes"
    ranked: list[tuple[str, float]]  # classes (or strings) and their probabilities, the most probable first
    doubts: tuple[str, ...]  # sentences: several characters or lines, a line that is too long; they lowered `ranked`


@dataclass(frozen=True)
class Reader:
    """A model of single characters; one that reads strings overrides `reads_strings`, `read` and `judged`."""

    facts: dict[str, Any]  # of the training data: name, version, sha256, classes, shape, examples, mean, std

    @property
    def reads_strings(self) -> bool:
        """Whether the model reads strings, not one class per image."""
        return False

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return tuple(self.facts["classes"])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities float32 [N, K] of images uint8 [N, H, W, 1], or [N, H, W] (0 = paper, 255 = ink).

        With several seeds: the mean of their probabilities.

        Raises:
          ValueError: another shape or dtype, or a model that reads strings (see `read`).
        """
        raise NotImplementedError

    def read(self, images: np.ndarray, *, best: int = 4) -> list[list[tuple[str, float]]]:
        """Reads images uint8 [N, H, W, 1] or [N, H, W]. Returns for each the `best` classes (or strings) with their
        probabilities, the most probable first. With several seeds: the mean of their probabilities.

        Raises:
          ValueError: another shape or dtype.

        >>> import hwr_jax
        >>> model, digits = hwr_jax.load(), hwr_jax.data.load("digits", log=lambda line: None)
        >>> [[(name, probability)]] = model.read(digits.test.image[:1], best=1)
        >>> name == digits.classes[digits.test.label[0]], probability > 0.9
        (True, True)
        """
        orders = ((prob, np.argsort(-prob, kind="stable")[:best]) for prob in self.predict(images))
        return [[(self.classes[k], float(prob[k])) for k in order] for prob, order in orders]

    def read_pictures(self, pictures: Iterable[PictureFile], *, best: int = 4) -> list[Reading]:
        """Reads pictures of any size: paths, bytes or binary files, one character or one line each.

        Where a picture holds more than the model reads, `doubts` says so and the probabilities are lowered.

        >>> import io, hwr_jax
        >>> from PIL import Image, ImageDraw
        >>> picture, file = Image.new("L", (200, 150), "white"), io.BytesIO()
        >>> ImageDraw.Draw(picture).line([(90, 30), (100, 120)], fill="black", width=12)
        >>> picture.save(file, "PNG")
        >>> [reading] = hwr_jax.load().read_pictures([file.getvalue()])
        >>> reading.ranked[0][0], reading.doubts
        ('1', ())

        Raises:
          DataError: not an accepted picture, or no ink in it.
          OSError: a path cannot be read.
        """
        pictures = list(pictures)
        height, width = self.facts["shape"][:2]
        line = (height, width) if self.reads_strings else None
        found = [normalise.normalised(picture, line=line) for picture in pictures]
        images = np.stack([f.image for f in found]) if found else np.zeros((0, height, width), np.uint8)
        return [
            Reading(decode.name_of(picture), [(label, prob * f.trust) for label, prob in ranked], f.doubts)
            for picture, ranked, f in zip(pictures, self.read(images, best=best), map(self.judged, found), strict=True)
        ]

    def judged(self, found: normalise.Normalised) -> normalise.Normalised:
        """Adds the doubts that depend on the model."""
        return found

    def checked(self, images: np.ndarray) -> np.ndarray:
        """Returns images as uint8 [N, H, W, 1]. Raises ValueError: another shape or dtype."""
        images = np.asarray(images)
        height, width = self.facts["shape"][:2]
        if images.dtype != np.uint8 or images.shape[1:] not in ((height, width), (height, width, 1)):
            raise ValueError(
                f"images must be uint8 [N, {height}, {width}] (0 = paper, 255 = ink), not {images.dtype} "
                f"{list(images.shape)}: see {PACKAGE}.digit_from_picture"
            )
        return images.reshape(len(images), height, width, 1)


def doubt_of_length(found: normalise.Normalised, longest: int) -> normalise.Normalised:
    """Adds the doubt about a line with more characters than any that the model was trained on.

    longest: characters of the longest line in training; 0: not known.
    """
    if not 0 < longest < found.characters or found.doubts:
        return found
    by = found.characters / longest
    doubt = (
        f"about {found.characters} characters in the line, but the model was trained on at most {longest}: the "
        f"confidence is divided by {by:.3g}"
    )
    return found._replace(doubts=(doubt,), trust=1 / by)
