"""From any picture to model input: files, tables, decoding, ink, marks, size and place as in MNIST."""

__all__ = [
    "characters", "decode", "documents", "effort", "ink", "inputs", "marks", "normalise", "page", "perspective",
    "quiet", "rendering", "resample", "rules", "separated", "several", "sheet", "small", "strokes", "tables", "values",
]  # fmt: skip
