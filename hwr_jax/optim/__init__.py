"""Optimisers, learning-rate schedules, averages of the weights."""

__all__ = ["averages", "optimizers", "schedules"]
