"""The fast recipe, searched anew from wide ranges: is the one that was tuned by hand any good?"""

from configs import base, fast

QUESTION = "Which recipe of one pass over the training set is best on validation, at the cost of the fast one or less?"
NOTES = """
Around the fast recipe's network, whose size is fixed, so that what is found costs no more than it. The ranges are
wide: the rate over two orders of magnitude, the betas over most of what is used. Nothing of the recipe that was tuned
by hand is given to the search. Three seeds a trial.
"""
SPACE = {
    "optim.learning_rate": ("log", 3e-4, 3e-2),
    "optim.b1": ("linear", 0.5, 0.95),
    "optim.b2": ("linear", 0.8, 0.999),
    "batch_size": ("choice", 32, 48, 64, 96, 128, 192),
    "schedule.rise": ("linear", 0.05, 0.6),
    "loss.label_smoothing": ("linear", 0.0, 0.2),
    "model.initializer": ("choice", "pytorch_uniform", "he_normal", "lecun_normal", "xavier_uniform", "orthogonal"),
    "model.activation": ("choice", "relu", "gelu", "silu", "leaky_relu"),
}
SEEDS = 3


def get_config(variant: str = ""):
    """Returns the recipe that was tuned by hand."""
    return base.variant(fast.get_config(), variant)
