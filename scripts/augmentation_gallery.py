"""Draws each augmentation by itself on scikit-learn's digits, one row each; the first row is unchanged.

python scripts/augmentation_gallery.py experiments/augmentation.png
"""

import functools
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax import data
from hwr_jax.core import canvas
from hwr_jax.transforms import augment, frame

COLUMNS = 10
STRENGTHS = {
    "shift_px": 4.0, "rotate_deg": 30.0, "scale": 0.3, "shear_deg": 30.0, "perspective": 0.35, "elastic_px": 1.5,
    "thickness": 1.0, "lines": 3, "neighbours_px": 8, "blots": 8, "background": 0.6, "blur_px": 1.5, "smear_px": 3.0,
    "brightness": 0.4, "contrast": 0.8, "invert": 0.5, "noise": 0.2, "grain": 0.3, "salt_pepper": 0.15, "cutout_px": 9,
}  # fmt: skip
FRAMES = {"deskew": True, "centre": True, "crop_px": 5, "side_px": 14}


def main(path: str) -> None:
    """Draws the figure."""
    digits = data.load("digits", log=print)
    image = jnp.asarray(digits.test.image[:COLUMNS], jnp.float32) / 255
    keys = jax.random.split(jax.random.key(0), COLUMNS)
    off = dict.fromkeys(STRENGTHS, 0) | {"elastic_smooth_px": 4.0, augment.SKIP: 0.0}
    rows = {"as they are": image}
    for name, value in STRENGTHS.items():
        strength = off | {name: value}
        one = jax.jit(jax.vmap(lambda key, image, s=strength: augment.augment(key, image, **s)))
        rows[f"{name} {value:g}"] = one(keys, image)
    for name in augment.MIX:
        chosen = dict.fromkeys(augment.MIX, 0.0) | {name: 1.0}
        rows[f"{name} 1"] = augment.mix(keys, image, jnp.zeros(COLUMNS, jnp.int32), **chosen).image
    still: dict[str, Any] = {"deskew": False, "centre": False, "crop_px": 0, "side_px": 0}
    for name, value in FRAMES.items():
        chosen = still | {name: value}
        words = f"frame: {name}" + (f" {value}" if value is not True else "")
        rows[words] = jax.vmap(functools.partial(frame.frame, **chosen))(image)
    width, height = COLUMNS * 0.45 + 1.2, len(rows) * 0.45
    with canvas.drawn(Path(path), width, height) as figure:
        axes = figure.subplots(len(rows), COLUMNS)
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            line[0].text(-0.25, 0.5, name, ha="right", va="center", fontsize=8, transform=line[0].transAxes)
            for place, one in zip(line, np.asarray(images), strict=True):
                place.imshow(one[..., 0], cmap="gray_r", vmin=0, vmax=1)
                place.set_axis_off()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "experiments/augmentation.png")
