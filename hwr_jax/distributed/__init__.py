"""Many processes and devices as one: joining a job, the device mesh, signals, the watchdog."""

__all__ = ["processes", "sharding", "signals", "watchdog"]
