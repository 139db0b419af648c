"""Few labels from other writers: starting from weights trained on MNIST, or from random ones."""

from configs import base, fast

QUESTION = "What do weights learnt on MNIST give for other digits, of which ten of each class are labelled?"
NOTES = """
Trained on ten labels of each class of scikit-learn's digits (other writers than MNIST's, scanned differently), 40
passes, the same hundred images for every seed: the intervals reflect training, not the choice of images. Tested on 500
other images of the same collection; rates are chosen on 200 more, which need labels for that. Training starts from the
weights of runs/fast (`python -m hwr_jax.main --config=configs/fast.py --config.seeds=10`), seed i from its seed i:
unchanged, with a new output layer, or with everything except the output layer frozen; scratch starts from random
weights. Each is trained at the same four rates; the baseline is the rate of scratch that is best on validation, and the
direct comparisons are between the best rates of the others. The seconds exclude the run on MNIST.
"""
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
BEGINNINGS = {
    "scratch": {},
    "transfer": {"init_from": "runs/fast"},
    "new_head": {"init_from": "runs/fast", "transfer.head": "new"},
    "frozen": {"init_from": "runs/fast", "transfer.frozen": True},
}
VARIANTS = {
    f"{name}-{rate:g}": {"optim.learning_rate": rate, **overrides}
    for name, overrides in BEGINNINGS.items()
    for rate in RATES
}
BASELINE = "scratch-0.01"
AXIS = "optim.learning_rate"
SERIES = {name: [v for v in VARIANTS if v.startswith(name)] for name in BEGINNINGS}
CONTRASTS = [("new_head-0.001", "transfer-0.003"), ("transfer-0.003", "frozen-0.003")]


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    config = fast.get_config()
    config.data.name = "digits"
    config.data.validation_examples = 200
    config.data.train_examples = 100
    config.epochs = 40
    config.batch_size = 10
    config.steps_per_dispatch = 10
    return base.override(config, VARIANTS, variant)
