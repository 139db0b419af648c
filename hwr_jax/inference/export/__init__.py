"""Exporting a trained model: one file a format, and the check against JAX that each has to pass."""

__all__ = [
    "card", "graph", "litert", "litert_program", "making", "networks", "onnx_model", "parity", "quantise", "records",
    "sections", "source", "stablehlo",
]  # fmt: skip
