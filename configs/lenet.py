"""LeNet-5 (LeCun et al. 1998)."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 10
    config.model.name = "lenet"
    config.model.activation = "tanh"
    config.model.initializer = "xavier_uniform"
    config.optim.learning_rate = 3e-3
    config.optim.weight_decay = 0.02
    config.schedule.name = "one_cycle"
    return base.variant(config, variant)
