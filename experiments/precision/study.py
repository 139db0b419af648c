"""The layers in float32 or bfloat16."""

from configs import base, fast

QUESTION = "Does training in bfloat16 cost accuracy?"
NOTES = """
The fast recipe. bfloat16 applies to the layers; weights, the sums of norms and the scores stay float32. This CPU has no
unit for it, so it takes several times as long.
"""
VARIANTS = {name: {"model.precision": name} for name in ("float32", "bfloat16")}
BASELINE = "float32"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
