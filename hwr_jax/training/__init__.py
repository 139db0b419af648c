"""One training run: from config and data through the loop to the summary in its run folder."""

__all__ = ["api", "experiment", "feeding", "job", "loop", "nonfinite", "session", "summary", "train", "transfer"]
