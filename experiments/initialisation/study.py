"""Initialisers of the kernels."""

from configs import base, fast

QUESTION = "Which initialisation gives the highest accuracy in one pass?"
NOTES = "The fast recipe (ReLU); biases begin with zeros. zeros is there to see what breaking no symmetry costs."
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
