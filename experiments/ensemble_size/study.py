"""Ensembles of the fast recipe's network, by mean probability."""

from configs import base, fast

QUESTION = "How much does an ensemble of networks gain with its size?"
NOTES = """
Every trial trains this many networks with the fast recipe and is scored by their mean probability. The members of
trial j have the seeds j, j + 1,000,000, j + 2,000,000 ...: no two trials of a variant share a member, and the smaller
ensembles are subsets of the larger ones.
"""
VARIANTS = {str(n): {"seeds": n} for n in (1, 2, 3, 5, 10)}
BASELINE = "1"
AXIS = "seeds"
CONTRASTS = [("3", "2"), ("5", "3"), ("10", "5")]


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
