"""The recipe aimed at the records on MNIST (99.8 % single, 99.9 % ensemble): for one GPU, all seeds at once.

The network is M3 of An, Lee, Park, Yang & So 2020, "An Ensemble of Simple Convolutional Neural Network Models for MNIST
Handwritten Digit Recognition": ten 3x3 convolutions with batch normalisation, no pooling, no hidden layer, trained for
150 epochs with random shifts of 20 % and rotations of 20 degrees. Here with AdamW and one cycle of the learning rate
instead of an average of the weights.
"""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test (and three of the ten layers)."""
    config = base.get_config()
    layers = 3 if variant == "smoke" else 10
    config.seeds = 2 if variant == "smoke" else 10
    config.epochs = 150
    config.batch_size = 120
    config.steps_per_dispatch = 100
    config.model.features = tuple(32 + 16 * i for i in range(layers))
    config.model.kernels_px = (3,) * layers
    config.model.strides_px = (1,) * layers
    config.model.pools = (True, True, False) if variant == "smoke" else (False,) * layers
    config.model.norm = "batch"
    config.model.dense = 0
    config.optim.learning_rate = 2e-3
    config.optim.weight_decay = 0.02
    config.schedule.name = "one_cycle"
    config.augment.shift_px = 5.6
    config.augment.rotate_deg = 20.0
    config.checkpoint.every_epochs = 10
    return base.variant(config, variant)
