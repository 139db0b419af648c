"""Any picture file to model input: decoding, ink, marks, size and place as in MNIST."""

__all__ = ["decode", "ink", "marks", "normalise"]
