"""The main job: a convolutional network on MNIST. At least 99.2 % on the test set after about a minute on two cores."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.data.fallback = "digits"
    config.model.dropout = 0.3
    config.optim.name = "adamw"
    config.optim.learning_rate = 2e-3
    config.optim.weight_decay = 0.05
    config.schedule.name = "one_cycle"
    config.augment.shift_px = 1.5
    config.augment.rotate_deg = 8.0
    config.augment.scale = 0.08
    config.augment.shear_deg = 5.0
    return base.variant(config, variant)
