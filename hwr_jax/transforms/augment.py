"""Augmentation on the device: one picture at a time, keys from the caller. Owns the order of the maps.

    geometry -> stroke thickness -> lines, background -> blur -> light -> inversion -> noise -> cutout

Every map is the identity, to the bit, at zero strength.
"""

from __future__ import annotations

from typing import Any

import jax

from hwr_jax.transforms import pen
from hwr_jax.transforms.geometry import warp
from hwr_jax.transforms.mix import Mixed, mix

__all__ = ["Mixed", "augment", "mix", "pen", "warp"]

GEOMETRY = ("shift_px", "rotate_deg", "scale", "shear_deg", "perspective", "elastic_px", "elastic_smooth_px")
MIX = ("mixup", "cutmix")


def augment(key: jax.Array, image: jax.Array, **strength: Any) -> jax.Array:
    """Changes an image at random.

    Args:
      key: one key [].
      image: float32 [H, W, 1] in 0..1, 0 = paper.
      **strength: the keys of `config.augment` but those of MIX; see `geometry.warp` and `pen`.

    Returns:
      float32 [H, W, 1] in 0..1.
    """
    image = warp(key, image, **{name: strength[name] for name in GEOMETRY})
    of = {name: jax.random.fold_in(key, 10 + i) for i, name in enumerate(PEN)}
    image = pen.thickness(of["thickness"], image, strength["thickness"])
    image = pen.lines(of["lines"], image, strength["lines"])
    image = pen.background(of["background"], image, strength["background"])
    image = pen.blur(of["blur_px"], image, strength["blur_px"])
    image = pen.light(of["light"], image, brightness=strength["brightness"], contrast=strength["contrast"])
    image = pen.invert(of["invert"], image, strength["invert"])
    image = pen.noise(of["noise"], image, strength["noise"])
    image = pen.salt_pepper(of["salt_pepper"], image, strength["salt_pepper"])
    return pen.cutout(of["cutout_px"], image, strength["cutout_px"])


# Each map has a stream of its own: switching one on changes nothing in the others.
PEN = ("thickness", "lines", "background", "blur_px", "light", "invert", "noise", "salt_pepper", "cutout_px")
