"""Exporting a trained model: one file a format, and the check against JAX that each has to pass."""

__all__ = ["graph", "networks", "onnx_model", "source"]
