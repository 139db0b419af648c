"""Using a trained run: scoring a data set, reading images and pages."""

__all__ = [
    "annotate", "corruption_scores", "evaluation", "light", "listing", "packaged", "page_scores", "parting",
    "predictor", "reader", "scan", "stages",
]  # fmt: skip
