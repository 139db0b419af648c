"""Initialisers of the kernels."""

from configs import base, fast

QUESTION = "Which initialisations read better or worse than PyTorch's after one pass?"
NOTES = """
The fast recipe (ReLU); biases start at zero. Its learning rate was tuned with the baseline, whose weights are about
0.4 of He's: others may do better at a rate of their own. zeros shows the cost of not breaking the symmetry.
"""
NAMES = (
    "pytorch_uniform",
    "lecun_normal",
    "he_normal",
    "he_uniform",
    "xavier_normal",
    "xavier_uniform",
    "orthogonal",
    "normal",
    "zeros",
)
VARIANTS = {name: {"model.initializer": name} for name in NAMES}
BASELINE = "pytorch_uniform"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
