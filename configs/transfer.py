"""Few-shot: the network of runs/cnn, trained on MNIST, learns scikit-learn's digits from 10 labels per class.

The variants 1, 5, 10 and 100 set the number of labels per class; 10-scratch and so on start from random weights.
"""

from configs import base

SHOTS = (1, 5, 10, 100)


def get_config(variant: str = ""):
    """Returns the config; variant 'smoke' has the size of a test, and random weights. Raises ValueError for others."""
    shots, _, scratch = ("10", "", "smoke") if variant == "smoke" else (variant or "10").partition("-")
    if shots not in map(str, SHOTS) or scratch not in ("", "scratch", "smoke"):
        raise ValueError(f"there is no variant {variant!r}: use {', '.join(map(str, SHOTS))}, N-scratch, or smoke")
    config = base.get_config()
    config.data.name = "digits"
    config.data.validation_examples = 200
    config.data.train_examples = 10 * int(shots)
    config.init_from = "" if scratch else "runs/cnn"
    config.batch_size = 10
    config.epochs = max(5, 200 // int(shots))
    config.optim.learning_rate = 1e-3 if scratch else 3e-4
    config.augment.shift_px = 2.0
    config.augment.rotate_deg = 10.0
    config.augment.scale = 0.1
    config.eval.patience_epochs = 0
    return base.variant(config, "smoke", smoke_epochs=5) if scratch == "smoke" else config
