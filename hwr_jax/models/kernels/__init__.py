"""Compiled kernels: C++ that the machine's own compiler builds once, called by XLA on its own threads."""

__all__ = ["build", "calls", "convolution", "normalisation"]
