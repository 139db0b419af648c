"""Optimisers, each at the learning rate that validation chose for it."""

from configs import base, fast

QUESTION = "Which optimisers read better or worse than Adam after one pass?"
NOTES = """
The fast recipe, which was tuned for Adam: one cycle, label smoothing 0.1, batch 64, b1 0.7, b2 0.9 (lion: 0.9 and 0.99,
its paper's; momentum 0.9). The peak rate of each was chosen on validation among six that are a factor of two apart, in
the study learning_rates; adamw has Adam's rate and decay 0.01. No other setting was tuned, so Adam has had more care
than the rest.
"""
RATES = {
    "sgd": 0.6,
    "momentum": 0.12,
    "nesterov": 0.12,
    "rmsprop": 6e-3,
    "adagrad": 0.1,
    "adadelta": 24.0,
    "adam": 8e-3,
    "adamw": 8e-3,
    "lamb": 0.02,
    "lion": 2e-3,
    "muon": 8e-3,
}
VARIANTS = {name: {"optim.name": name, "optim.learning_rate": rate} for name, rate in RATES.items()}
VARIANTS["adamw"]["optim.weight_decay"] = 0.01
VARIANTS["lion"] |= {"optim.b1": 0.9, "optim.b2": 0.99}
BASELINE = "adam"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
