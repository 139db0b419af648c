"""Few labels of another hand: the weights of MNIST, or random ones."""

from configs import base, fast

QUESTION = "What do weights learnt on MNIST give for other digits of which few are labelled?"
NOTES = """
Trained on N labels of each class of scikit-learn's digits (other writers, scanned in another way), tested on 500 of
them. Begun with the weights of runs/fast, `python -m hwr_jax.main --config=configs/fast.py --config.seeds=10`, seed i
with its seed i; scratch: with random weights, at the fast recipe's rate.
"""
LABELS = (1, 2, 5, 10, 50)
VARIANTS = {
    f"{n}-{how}": {"data.train_examples": 10 * n, "epochs": max(10, 400 // n), **more}
    for n in LABELS
    for how, more in {
        "transfer": {"init_from": "runs/fast", "optim.learning_rate": 1e-3},
        "frozen": {"init_from": "runs/fast", "optim.learning_rate": 1e-3, "transfer.frozen": True},
        "scratch": {"optim.learning_rate": 8e-3},
    }.items()
}
BASELINE = "10-scratch"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    config = fast.get_config()
    config.data.name = "digits"
    config.data.validation_examples = 200
    config.batch_size = 10
    config.steps_per_dispatch = 50
    return base.override(config, VARIANTS, variant)
