"""A multilayer perceptron with two hidden layers."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 12
    config.model.name = "mlp"
    config.model.hidden = (512, 256)
    config.model.dropout = 0.2
    config.optim.weight_decay = 0.05
    return base.variant(config, variant)
