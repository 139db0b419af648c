"""What every other folder may use: types, keys, errors, files, text, Ctrl-C, digests, statistics, XLA's flags."""

__all__ = [
    "archives", "canvas", "digests", "errors", "files", "idx", "interrupts", "networks", "printable", "ranges", "rng",
    "stats", "types", "xla",
]  # fmt: skip
