"""Reads strings of one to seven digits with convolutions, a bidirectional GRU over the columns, and CTC."""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test."""
    config = base.get_config()
    config.data.name = "strings"
    config.epochs = 12
    config.batch_size = 64
    config.model.name = "crnn"
    config.model.features = (16, 32, 64)
    config.model.kernels_px = (3, 3, 3)
    config.model.norm = "batch"
    config.model.dense = 128
    config.model.cell = "gru"
    config.model.width = 64
    config.model.bidirectional = True
    config.model.dropout = 0.2
    config.optim.learning_rate = 4e-3
    config.optim.weight_decay = 0.02
    config.optim.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    config.augment.shift_px = 2.0
    config.augment.rotate_deg = 1.5
    config.augment.scale = 0.05
    config.augment.shear_deg = 10.0
    config.eval.beam = 8
    if variant == "smoke":
        config.data.strings.update(train=1_500, validation=100, test=200, lengths=(1, 3), test_length=0, width_px=64)
    return base.variant(config, variant)
