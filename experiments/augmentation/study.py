"""Each augmentation alone, and those of the main job together."""

from configs import base, fast

QUESTION = "Which augmentation of the training images helps?"
NOTES = """
The fast recipe with four passes. main: shift, rotation, scale and shear at the strengths of configs/cnn.py; all: all
these variants together, at half their strengths (at most one line, as alone). Mixing (mixup, cutmix) mixes labels too.
Four passes are few for augmentation: more may change the order. The strengths are common ones, and were not tuned.
"""
EACH = {
    "shift": {"augment.shift_px": 1.5},
    "rotate": {"augment.rotate_deg": 8.0},
    "scale": {"augment.scale": 0.08},
    "shear": {"augment.shear_deg": 5.0},
    "perspective": {"augment.perspective": 0.1},
    "elastic": {"augment.elastic_px": 0.7},
    "thickness": {"augment.thickness": 0.3},
    "lines": {"augment.lines": 1},
    "blur": {"augment.blur_px": 0.5},
    "contrast": {"augment.contrast": 0.2},
    "noise": {"augment.noise": 0.1},
    "cutout": {"augment.cutout_px": 6},
    "mixup": {"augment.mixup": 0.2},
    "cutmix": {"augment.cutmix": 0.2},
}
MAIN = {key: value for name in ("shift", "rotate", "scale", "shear") for key, value in EACH[name].items()}
ALL = {
    key: max(1, value // 2) if isinstance(value, int) else value / 2
    for one in EACH.values()
    for key, value in one.items()
}
VARIANTS = {"none": {}, **EACH, "main": MAIN, "all": ALL}
BASELINE = "none"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    config = fast.get_config()
    config.epochs = 4
    return base.override(config, VARIANTS, variant)
