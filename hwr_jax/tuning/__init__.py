"""Hyperparameter search with Optuna, and its report."""

__all__ = ["figures", "report", "spec", "storage", "trials"]
