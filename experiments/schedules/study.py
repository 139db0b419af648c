"""Shapes of the learning rate over one pass."""

from configs import base, fast

QUESTION = "Which learning-rate schedules read better or worse than one cycle after one pass?"
NOTES = """
The fast recipe (one pass, Adam, peak rate 0.008). All schedules have the same peak rate, except that the constant one
also appears at a quarter of it. That rate was tuned for one cycle; the others may do better at their own. warmup: a
twentieth of the pass, linear. restarts: three cosines, each twice as long as the one before.
"""
VARIANTS = {
    "one_cycle": {},
    "constant": {"schedule.name": "constant"},
    "constant-quarter": {"schedule.name": "constant", "optim.learning_rate": 2e-3},
    "cosine": {"schedule.name": "cosine"},
    "cosine-warmup": {"schedule.name": "cosine", "schedule.warmup_epochs": 0.05},
    "exponential": {"schedule.name": "exponential", "schedule.step_epochs": 0.1, "schedule.decay": 0.7},
    "step": {"schedule.name": "step", "schedule.step_epochs": 0.25, "schedule.decay": 0.3},
    "restarts": {"schedule.name": "restarts", "schedule.step_epochs": 1 / 7, "schedule.growth": 2.0},
}
BASELINE = "one_cycle"


def get_config(variant: str = BASELINE):
    """Returns the config of a variant."""
    return base.override(fast.get_config(), VARIANTS, variant)
