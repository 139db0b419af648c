"""The model that comes with the package: `robust`, trained on for four epochs with milder changes of the images.

Strong changes teach it what it may meet, and cost a little on clean digits, which these epochs win back. Needs the run
folder runs/robust; scripts/pretrain.py trains both.
"""

from configs import base, robust


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test, and begins with runs/robust-smoke."""
    config = robust.get_config()
    config.init_from = f"runs/robust-{variant}" if variant else "runs/robust"
    config.epochs = 4
    config.optim.learning_rate = 1e-3
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 0.2
    config.average.name = "ema"
    config.augment.skip = 0.8
    config.augment.rotate_deg = 12.0
    config.augment.scale = 0.16
    config.augment.shear_deg = 11.0
    config.augment.neighbours_px = 6
    return base.variant(config, variant)
