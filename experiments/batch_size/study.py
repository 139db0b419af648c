"""Batch sizes, with the learning rate fixed or scaled with the batch."""

from configs import base, fast

QUESTION = "How does accuracy depend on the batch size, with and without scaling the learning rate?"
NOTES = """
The fast recipe: one pass, so a larger batch means fewer steps. linear: the rate is proportional to the batch (Goyal et
al. 2017); root: to its square root (Krizhevsky 2014); the betas are not scaled.
"""
SIZES = (16, 32, 64, 128, 256, 512)
SCALED = {"fixed": 0.0, "root": 0.5, "linear": 1.0}
VARIANTS = {
    f"{size}-{name}": {"batch_size": size, "optim.learning_rate": round(8e-3 * (size / 64) ** power, 6)}
    for size in SIZES
    for name, power in SCALED.items()
    if size != 64 or name == "fixed"
}
BASELINE = "64-fixed"
AXIS = "batch_size"
CONTRASTS = [(f"{size}-{name}", f"{size}-fixed") for size in SIZES for name in ("root", "linear") if size != 64]
SERIES = {name: [v for v in VARIANTS if v.endswith(name) or v == BASELINE] for name in SCALED}


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
