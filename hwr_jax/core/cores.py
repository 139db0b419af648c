"""How many processor cores this process may use."""

from __future__ import annotations

import os


def available() -> int:
    """Returns the number of cores: those that the scheduler allows, where the system says which."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
