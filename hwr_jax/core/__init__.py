"""What every other folder may use: types, random keys, errors, ranges, files, digests, statistics, XLA's flags."""

__all__ = ["canvas", "digests", "errors", "files", "ranges", "rng", "stats", "types", "xla"]
