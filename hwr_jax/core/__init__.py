"""What every other folder may use: types, random keys, errors, ranges, file formats, digests, statistics, XLA flags."""

__all__ = ["archives", "canvas", "digests", "errors", "files", "idx", "ranges", "rng", "stats", "types", "xla"]
