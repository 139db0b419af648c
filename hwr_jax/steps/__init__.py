"""A config turned into pure functions, and those into compiled programs: one batch end to end."""

__all__ = ["compiled", "gradient", "overrides", "plan", "recipe", "run", "scratch", "train_step"]
