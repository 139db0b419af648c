"""A residual network of three stages, with shifts and rotations that keep it from overfitting."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 12
    config.model.name = "resnet"
    config.model.features = (24, 48, 96)
    config.model.blocks = 1
    config.model.stride_px = 2  # a quarter of the work
    config.model.norm = "batch"
    config.optim.learning_rate = 5e-3
    config.optim.weight_decay = 0.05
    config.schedule.name = "one_cycle"
    config.augment.shift_px = 2.0
    config.augment.rotate_deg = 10.0
    config.augment.scale = 0.1
    return base.variant(config, variant)
