"""The server, HTTP in front of the processes that read pictures, and the page, which reads in the browser itself."""

__all__ = [
    "app", "bodies", "documentation", "frames", "guard", "limits", "measures", "openapi", "page_files", "pool",
    "problems", "protocol", "running", "worker",
]  # fmt: skip
