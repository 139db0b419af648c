"""What every other folder may use: types, keys, errors, ranges, files, Ctrl-C, digests, statistics, XLA's flags."""

__all__ = [
    "archives", "canvas", "digests", "errors", "files", "idx", "interrupts", "ranges", "rng", "stats", "types", "xla",
]  # fmt: skip
