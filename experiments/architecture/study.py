"""Networks of every kind, two passes each."""

from configs import base, fast

QUESTION = "Which network reads best after two passes with the fast recipe, at the learning rate of its own config?"
NOTES = """
Two passes, one cycle, label smoothing 0.1, batch 64, Adam (b1 0.7, b2 0.9), no augmentation, no dropout: the fast
recipe, which was tuned for the cnn. Each network has the size, activation, initialisation and peak learning rate of its
config in configs/ (the residual network is narrower: 16, 32 and 64 channels); those rates were chosen for other
optimisers and longer runs. So this ranks networks under a short recipe, not by what each can reach, which is in the
README's table.
"""
VARIANTS = {
    "cnn": {},
    "linear": {"model.name": "mlp", "model.hidden": (), "model.initializer": "zeros", "optim.learning_rate": 2e-3},
    "mlp": {"model.name": "mlp", "model.hidden": (512, 256), "optim.learning_rate": 1e-3},
    "lenet": {
        "model.name": "lenet",
        "model.activation": "tanh",
        "model.initializer": "xavier_uniform",
        "optim.learning_rate": 3e-3,
    },
    "resnet": {
        "model.name": "resnet",
        "model.features": (16, 32, 64),
        "model.stride_px": 2,
        "model.norm": "batch",
        "model.initializer": "he_normal",
        "optim.learning_rate": 5e-3,
    },
    "rnn": {
        "model.name": "rnn",
        "model.width": 96,
        "model.bidirectional": True,
        "model.initializer": "xavier_uniform",
        "optim.learning_rate": 4e-3,
        "optim.clip_norm": 1.0,
    },
    "vit": {
        "model.name": "vit",
        "model.width": 64,
        "model.layers": 4,
        "model.activation": "gelu",
        "model.initializer": "xavier_uniform",
        "optim.learning_rate": 2e-3,
    },
}
BASELINE = "cnn"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    config = fast.get_config()
    config.epochs = 2
    return base.override(config, VARIANTS, variant)
