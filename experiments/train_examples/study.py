"""The error over the number of training images, and its power law."""

from configs import base, fast

QUESTION = "How does the error fall with the number of training images?"
NOTES = """
The fast recipe with 1,024 steps of 64 images for every number of images, in as many passes as that takes: what differs
is the number of images, not the length of training, from two passes over the largest set, not enough to memorise it, to
256 over the smallest. Classes are balanced as far as whole images allow; the smaller sets are subsets of the larger
ones and the same for every seed, so the intervals reflect training, not the choice of images.
"""
DOUBLINGS = range(2, 10)
VARIANTS = {
    str(64 * 2**k): {"data.train_examples": 64 * 2**k, "epochs": 1024 // 2**k, "steps_per_dispatch": 2**k}
    for k in DOUBLINGS
}
BASELINE = "32768"
AXIS = "data.train_examples"
FIT = "power_law"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    config = fast.get_config()
    config.data.validation_examples = 1000
    return base.override(config, VARIANTS, variant)
