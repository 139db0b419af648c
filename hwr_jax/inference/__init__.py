"""Using a trained run: scoring a data set, reading images."""

__all__ = ["evaluation", "predictor"]
