"""Using a trained run: the scores of a data set, the reading of images."""

__all__ = ["evaluation", "predictor"]
