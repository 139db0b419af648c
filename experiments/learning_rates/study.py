"""Every optimiser at rates around its own: how far off can the rate be?"""

from configs import base, fast

QUESTION = "Which learning rate does each optimiser need, and how much does it matter?"
NOTES = """
The fast recipe: one pass over 54,976 images, one cycle, label smoothing 0.1. Three seeds each: enough to choose a rate
on validation to within a factor of two or so, far too few to rank this many variants (a test would need twelve).
"""
SEEDS = 3
RATES = {  # multiples of the middle one
    "sgd": 0.3,
    "momentum": 0.06,
    "nesterov": 0.06,
    "rmsprop": 6e-3,
    "adagrad": 0.1,
    "adadelta": 24.0,
    "adam": 8e-3,
    "lamb": 0.02,
    "lion": 1e-3,
    "muon": 8e-3,
}
VARIANTS = {
    f"{name}-{factor:g}": {"optim.name": name, "optim.learning_rate": rate * factor}
    | ({"optim.b1": 0.9, "optim.b2": 0.99} if name == "lion" else {})
    for name, rate in RATES.items()
    for factor in (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
}
BASELINE = "adam-1"
AXIS = "optim.learning_rate"
SERIES = {name: [v for v in VARIANTS if v.split("-")[0] == name] for name in RATES}


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
