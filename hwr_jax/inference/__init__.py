"""Using a trained run: scoring a data set, reading images and pages."""

__all__ = [
    "annotate", "corruption_scores", "evaluation", "export", "light", "listing", "onnx_reader", "packaged",
    "page_scores", "pages", "parting", "predictor", "reader", "rows", "scan", "stages",
]  # fmt: skip
