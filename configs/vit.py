"""A small vision transformer on patches of 7x7 pixels."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 15
    config.model.name = "vit"
    config.model.width = 64
    config.model.layers = 4
    config.model.activation = "gelu"
    config.model.initializer = "xavier_uniform"
    config.model.dropout = 0.1
    config.optim.learning_rate = 2e-3
    config.optim.weight_decay = 0.05
    config.schedule.name = "one_cycle"
    config.augment.shift_px = 2.0
    config.augment.rotate_deg = 10.0
    config.augment.scale = 0.1
    return base.variant(config, variant)
