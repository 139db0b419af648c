"""What everything may use: the central types, random keys, errors, files, digests, statistics, XLA's flags."""

__all__ = ["canvas", "digests", "errors", "files", "rng", "stats", "types", "xla"]
