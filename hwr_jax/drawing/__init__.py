"""Figures of finished runs: several runs over each other, and one looked at closely."""

__all__ = [
    "classes",
    "curves",
    "embedding",
    "evidence",
    "features",
    "hardest",
    "network",
    "own_picture",
    "record",
    "sheets",
]
