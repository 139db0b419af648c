"""Wrong labels in the training set."""

from configs import base, fast

QUESTION = "How much accuracy do wrong training labels cost?"
NOTES = """
The fast recipe with two passes; the given share of the training labels is replaced by one of the other nine classes,
drawn uniformly, once, and equal for every seed. Validation and test labels are correct. Label smoothing (0.1) and the
small number of passes protect against wrong labels: more passes may cost more.
"""
VARIANTS = {f"{share:g}": {"data.label_noise": share} for share in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)}
BASELINE = "0"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    config = fast.get_config()
    config.epochs = 2
    return base.override(config, VARIANTS, variant)
