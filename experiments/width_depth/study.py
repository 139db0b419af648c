"""Wider and deeper versions of the fast recipe's network."""

from configs import base, fast

QUESTION = "Does the fast recipe's network gain more by width or by depth?"
NOTES = """
One pass. Width: all channels and the hidden layer, times a half, one and two. Depth: without the second convolution
(shallow), unchanged (fast), and with a third convolution of the same width after it (deep), which leaves fewer pixels
for the hidden layer and so halves the parameters. The learning rate was tuned for the baseline; the others may do
better at their own.
"""
VARIANTS = base.grid(
    depth={
        "shallow": {"model.kernels_px": (5,), "model.strides_px": (2,), "model.pools": (True,)},
        "fast": {},
        "deep": {"model.kernels_px": (5, 3, 3), "model.strides_px": (2, 1, 1), "model.pools": (False, True, False)},
    },
    width={"half": {"model.dense": 64}, "one": {"model.dense": 128}, "two": {"model.dense": 256}},
)
CHANNELS = {"shallow": (8,), "fast": (8, 32), "deep": (8, 32, 32)}
for _name, _overrides in VARIANTS.items():
    _depth = _name.split("-")[0]
    _overrides["model.features"] = tuple(c * _overrides["model.dense"] // 128 for c in CHANNELS[_depth])
BASELINE = "fast-one"
CONTRASTS = [("deep-two", "fast-two"), ("deep-half", "fast-half"), ("fast-two", "deep-one")]


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
