"""A multilayer perceptron written in plain NumPy, forward, backward and Adam: see hwr_jax/models/scratch.py."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 10
    config.model.name = "scratch"
    config.model.hidden = (256, 128)
    config.model.dropout = 0.1
    config.optim.name = "adam"
    config.optim.l2 = 1e-5
    return base.variant(config, variant)
