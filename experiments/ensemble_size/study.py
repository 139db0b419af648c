"""Ensembles of the fast recipe's network, by mean probability."""

from configs import base, fast

QUESTION = "How much does an ensemble of networks gain with its size?"
NOTES = """
Every trial trains so many networks with the fast recipe (seeds of their own, which no other trial has) and is scored
by their mean probability.
"""
VARIANTS = {str(n): {"seeds": n} for n in (1, 2, 3, 5, 10)}
BASELINE = "1"
AXIS = "seeds"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
