"""Turns a config into pure functions, and those into compiled programs: one batch, end to end."""

__all__ = [
    "balanced",
    "compile_cache",
    "compiled",
    "cost",
    "gradient",
    "overrides",
    "plan",
    "predict_step",
    "recipe",
    "run",
    "scratch",
    "train_step",
]
