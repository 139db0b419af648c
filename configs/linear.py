"""Softmax regression: one layer of weights, nothing hidden. 7,850 parameters."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 12
    config.model.name = "mlp"
    config.model.hidden = ()
    config.model.initializer = "zeros"
    config.optim.learning_rate = 2e-3
    config.optim.l2 = 1e-5
    return base.variant(config, variant)
