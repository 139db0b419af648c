"""One network for the real world: MNIST, rare styles of digits, what is no digit, and strong changes of all of them.

The model that comes with the package: see scripts/pretrain.py.
"""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 60
    config.data.drawn = 30_000
    config.data.negatives = 15_000
    config.model.name = "resnet"
    config.model.features = (32, 64, 128)
    config.model.blocks = 1
    config.model.stride_px = 2
    config.model.norm = "batch"
    config.model.dropout = 0.1
    config.optim.learning_rate = 5e-3
    config.optim.weight_decay = 0.05
    config.schedule.name = "one_cycle"
    # What another hand does.
    config.augment.shift_px = 2.5
    config.augment.rotate_deg = 16.0
    config.augment.scale = 0.22
    config.augment.shear_deg = 14.0
    config.augment.perspective = 0.1
    config.augment.elastic_px = 0.6
    # What another pen, sheet and camera do: three or four of the twelve an image, on average.
    config.augment.skip = 0.7
    config.augment.thickness = 1.0
    config.augment.lines = 3
    config.augment.neighbours_px = 8
    config.augment.blots = 6
    config.augment.background = 0.6
    config.augment.blur_px = 1.5
    config.augment.smear_px = 2.5
    config.augment.brightness = 0.35
    config.augment.contrast = 0.8
    config.augment.invert = 0.5
    config.augment.grain = 0.35
    config.augment.salt_pepper = 0.15
    return base.variant(config, variant)
