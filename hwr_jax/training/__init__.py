"""One training run: the loop, where it begins, what it writes at its end."""

__all__ = ["experiment", "feeding", "job", "loop", "nonfinite", "session", "summary", "train", "transfer"]
