"""Using a trained run: scoring a data set, reading images."""

__all__ = ["annotate", "evaluation", "light", "packaged", "page_scores", "predictor", "reader", "scan"]
