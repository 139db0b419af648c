"""Activations of the fast recipe's network."""

from configs import base, fast

QUESTION = "Which activations read better or worse than ReLU after one pass?"
NOTES = "The fast recipe, whose learning rate and initialisation were chosen for ReLU."
NAMES = (
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "mish",
    "selu",
    "softplus",
    "identity",
    "tanh",
    "sigmoid",
)
VARIANTS = {name: {"model.activation": name} for name in NAMES}
BASELINE = "relu"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
