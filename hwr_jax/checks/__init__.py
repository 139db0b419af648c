"""What doctor and verify find: the health of a machine, the reproduction of a run."""

__all__ = ["health", "reproduction"]
