"""Using a trained run: scoring a data set, reading images."""

__all__ = ["annotate", "evaluation", "page_scores", "predictor", "scan"]
