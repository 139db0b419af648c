"""The server: HTTP in front of the processes that read pictures. Its own process imports neither JAX nor NumPy."""

__all__ = [
    "app", "bodies", "documentation", "frames", "guard", "limits", "measures", "openapi", "page_files", "pool",
    "problems", "protocol", "running", "worker",
]  # fmt: skip
