"""The main job on scikit-learn's 1,797 handwritten digits, resized to MNIST's conventions. Needs no download."""

from configs import base, cnn


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = cnn.get_config()
    config.data.name = "digits"
    config.data.fallback = "none"
    config.data.validation_examples = 200
    config.epochs = 20
    config.batch_size = 64
    return base.variant(config, variant, smoke_epochs=5)
