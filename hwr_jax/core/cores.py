"""The processor: how many cores this process may use, and of which kind they are."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

VECTORS = ("avx512f", "avx2")  # of x86, the widest first


def available() -> int:
    """Returns the number of cores: those that the scheduler allows, where the system says which."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def kind() -> str:
    """Returns the processor's model and its instructions: a program compiled for one kind may crash on another, where
    machines share a home folder."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(line for line in first if line.startswith(("model name", "flags", "Features", "CPU part")))
    except OSError:
        return f"{platform.machine()} {platform.processor()} {os.name}"


def model() -> str:
    """Returns the processor's model and its widest vectors, as far as they are known, such as 'AMD EPYC, avx512f': on
    another one XLA may add up in another order."""
    lines = (line.partition(":") for line in kind().splitlines())
    name = next((value.strip() for key, _, value in lines if key.startswith("model name")), platform.processor())
    return ", ".join(dict.fromkeys(filter(None, (name, vectors()))))


def vectors() -> str:
    """Returns the processor's widest vector instructions as far as they are known, 'avx512f' or 'avx2', or its name."""
    found = kind().split()
    return next((name for name in VECTORS if name in found), platform.machine())
