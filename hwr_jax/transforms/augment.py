"""Augmentation on the device: one image at a time, keys from the caller. Owns the order of the maps.

    geometry -> stroke thickness -> lines, neighbours, blots, background -> blur, smear -> light -> inversion -> noise
    -> cutout

Every map is the identity, to the bit, at zero strength. A new one is a function in `pen`, a row in PEN (at its place
in the order, with a new stream) and a key in configs/base.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from hwr_jax.core.ranges import NOT_NEGATIVE, POSITIVE, RATE, SHARE, Range, below, integer, number
from hwr_jax.transforms import pen
from hwr_jax.transforms.geometry import warp
from hwr_jax.transforms.mix import Mixed, mix

__all__ = ["GEOMETRY", "MIX", "PEN", "RANGES", "SHAPES", "Map", "Mixed", "augment", "changes", "mix", "pen", "warp"]


class Map(NamedTuple):
    """A map of images and what sets its strength."""

    function: Callable[..., jax.Array]  # (key [], image float32 [H, W, 1], a strength for each key) -> the same
    stream: int  # of its random draws: unique and never changed, so that no map changes the draws of another
    strengths: dict[str, Range]  # key of `config.augment` -> allowed values, in the function's order


GEOMETRY = {  # the arguments of `warp`
    "shift_px": number(0, 14),
    "rotate_deg": number(0, 180),
    "scale": RATE,
    "shear_deg": number(0, 60),
    "perspective": below(0, 0.5),
    "elastic_px": number(0, 14),
    "elastic_smooth_px": POSITIVE,
}
PEN = (
    Map(pen.thickness, 10, {"thickness": SHARE}),
    Map(pen.lines, 11, {"lines": integer(0, 100)}),
    Map(pen.neighbours, 21, {"neighbours_px": integer(0, 14)}),
    Map(pen.blots, 19, {"blots": integer(0, 100)}),
    Map(pen.background, 12, {"background": SHARE}),
    Map(pen.blur, 13, {"blur_px": number(0, 14)}),
    Map(pen.smear, 20, {"smear_px": number(0, 14)}),
    Map(pen.light, 14, {"brightness": SHARE, "contrast": SHARE}),
    Map(pen.invert, 15, {"invert": SHARE}),
    Map(pen.noise, 16, {"noise": NOT_NEGATIVE}),
    Map(pen.grain, 22, {"grain": NOT_NEGATIVE}),
    Map(pen.salt_pepper, 17, {"salt_pepper": SHARE}),
    Map(pen.cutout, 18, {"cutout_px": integer(0, 28)}),
)
MIX = {"mixup": NOT_NEGATIVE, "cutmix": NOT_NEGATIVE}  # the arguments of `mix`
SKIP = "skip"  # probability with which an image is spared a map of PEN
RANGES = {
    **GEOMETRY,
    **{key: allowed for transform in PEN for key, allowed in transform.strengths.items()},
    **MIX,
    SKIP: RATE,
}
SHAPES = ("elastic_smooth_px", SKIP)  # shape other maps, and change nothing alone


def changes(strength: Mapping[str, Any]) -> bool:
    """Returns whether any map has a strength."""
    return any(value for key, value in strength.items() if key not in SHAPES)


def augment(key: jax.Array, image: jax.Array, **strength: Any) -> jax.Array:
    """Changes an image at random.

    Args:
      key: one key [].
      image: float32 [H, W, 1] in 0..1, 0 = paper.
      **strength: the keys of `config.augment`, except those of MIX; see `geometry.warp` and `pen`.

    Returns:
      float32 [H, W, 1] in 0..1.

    >>> from hwr_jax.config import configs
    >>> strength = configs.load("accurate", {"augment.rotate_deg": 10.0}).augment.to_dict()
    >>> strength = {name: value for name, value in strength.items() if name not in MIX}
    >>> augment(jax.random.key(0), jnp.zeros((28, 28, 1)), **strength).shape
    (28, 28, 1)
    """
    image = warp(key, image, **{name: strength[name] for name in GEOMETRY})
    for transform in PEN:
        values = [strength[name] for name in transform.strengths]
        if not any(values):
            continue
        transform_key = jax.random.fold_in(key, transform.stream)
        changed = transform.function(transform_key, image, *values)
        if skip := strength[SKIP]:
            changed = jnp.where(jax.random.bernoulli(jax.random.fold_in(transform_key, 1), skip), image, changed)
        image = changed
    return image
