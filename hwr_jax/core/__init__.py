"""What everything may use: the central types, random keys, errors, ranges, files, digests, statistics, XLA's flags."""

__all__ = ["canvas", "digests", "errors", "files", "ranges", "rng", "stats", "types", "xla"]
