"""Continued learning: the network of runs/cnn learns your own pictures, and rehearses MNIST so as not to forget it.

    python -m hwr_jax.main --config=configs/finetune.py --config.data.manual_dir=FOLDER

FOLDER holds a folder of pictures for each class (hwr_jax/data/folder.py lists the other layouts). The run reports the
accuracy on both data sets, before and after.
"""

from configs import base


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test: your own pictures, but random weights."""
    config = base.get_config()
    config.epochs = 3
    config.batch_size = 32
    config.data.name = "folder"
    config.data.validation_examples = 20
    if variant != "smoke":
        config.init_from = "runs/cnn"
        config.transfer.layer_decay = 0.8
        config.data.rehearsal = "mnist"
        config.data.rehearsal_examples = 2000
    config.optim.learning_rate = 3e-4
    config.augment.shift_px = 2.0
    config.augment.rotate_deg = 10.0
    config.augment.scale = 0.1
    return base.variant(config, variant)
