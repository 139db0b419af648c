"""What doctor and verify check: the health of a machine, the reproduction of a run."""

__all__ = ["health", "reproduction"]
