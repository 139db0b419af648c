"""What every other folder may use: types, keys, errors, files, text, Ctrl-C, digests, statistics, XLA's flags."""

__all__ = [
    "archives", "canvas", "cores", "digests", "errors", "files", "idx", "interrupts", "networks", "printable", "ranges",
    "rng", "stats", "together", "types", "xla",
]  # fmt: skip
