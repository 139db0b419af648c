"""Config files and the values that each key allows."""

__all__ = ["check", "configs", "defaults", "flat", "shipped"]
