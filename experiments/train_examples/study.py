"""The error over the number of training images, and its power law."""

from configs import base, fast

QUESTION = "How does the error fall with the number of training images?"
NOTES = """
The fast recipe, with as many steps for every number: passes over N images make 859 steps of 64, as one pass over all
does. As many images of each class; the smaller sets lie within the larger ones, and are the same for every seed, so
that the intervals are those of training, not of the choice of the images.
"""
EXAMPLES = (80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960)
VARIANTS = {
    str(n): {"data.train_examples": n, "epochs": round(859 * 64 / n), "steps_per_dispatch": min(859, n // 64)}
    for n in EXAMPLES
}
BASELINE = "40960"
AXIS = "data.train_examples"
FIT = "power_law"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
