"""From any picture to model input: files, tables, decoding, ink, marks, size and place as in MNIST."""

__all__ = [
    "decode", "ink", "inputs", "marks", "normalise", "quiet", "resample", "separated", "several", "sheet", "tables",
    "values",
]  # fmt: skip
