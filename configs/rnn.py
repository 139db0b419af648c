"""A bidirectional LSTM that reads the image row by row."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.epochs = 10
    config.model.name = "rnn"
    config.model.width = 96
    config.model.bidirectional = True
    config.model.initializer = "xavier_uniform"
    config.optim.learning_rate = 4e-3
    config.optim.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    return base.variant(config, variant)
