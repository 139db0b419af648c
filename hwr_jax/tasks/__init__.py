"""What a network's scores mean: tasks, losses, metrics."""

from hwr_jax.tasks.task import Task, classification, strings

__all__ = ["Task", "classification", "strings"]
