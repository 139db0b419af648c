"""What a run runs on: versions, processor, devices, flags, and the code. Only reads."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import hwr_jax
from hwr_jax.core import cores
from hwr_jax.workdir import codebase

THREADS = "NPROC"  # the environment variable that XLA reads
SURROUNDINGS = (
    "versions", "platform", "processor", "cpu_count", "threads", "devices", "xla_flags", "over_seeds", "mesh_devices",
    "seed_groups", "convolution", "kernel",
)  # fmt: skip
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml-collections", "tensorflow-datasets", "numpy")


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Returns the keys of SURROUNDINGS that two environments are compared by: those that the older one has, and the
    convolution, which runs did not record when there was one alone."""
    return [key for key in SURROUNDINGS if key in old or (key == "convolution" and key in new)]


def code_digest() -> str:
    """Returns the SHA-256 of the code that computes numbers, with or without git, installed or not (see `codebase`)."""
    return codebase.digest(Path(hwr_jax.__file__).parent)


def facts() -> dict[str, Any]:
    """Returns versions, platform, processor, devices and XLA flags."""
    import jax

    return {
        "versions": {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}},
        "platform": platform.platform(),
        "processor": cores.model(),
        "cpu_count": os.cpu_count(),
        "threads": threads(),
        "devices": [d.device_kind for d in jax.devices()],
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def threads() -> int:
    """Returns how many threads XLA computes with on the CPU. One, or more than eight, may sum in another order and
    change the last bits (see `models.product`)."""
    given = os.environ.get(THREADS, "")
    if given.isdecimal() and int(given):
        return int(given)
    return cores.available()


def spare_threads() -> None:
    """Gives XLA twice as many threads as virtual CPU devices, unless NPROC sets the number; call it before JAX starts.

    By default XLA takes one thread per device. When all devices but one wait in an all-reduce, the last one's matrix
    product finds no free thread, and all hang. (Seen with eight devices beside other work; XLA aborts after 40 s.)
    """
    virtual = re.findall(r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    if virtual and int(virtual[-1]) > 1 and THREADS not in os.environ:
        os.environ[THREADS] = str(max(threads(), 2 * int(virtual[-1])))


def git_revision() -> str | None:
    """Returns the commit of the package's sources, with -dirty if they have changed.

    None if git does not track them: an installed package may lie in an environment inside somebody else's repository.
    """
    git = ["git", "-C", str(Path(hwr_jax.__file__).parent)]
    tracked = [*git, "ls-files", "--error-unmatch", "__init__.py"]
    describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        if subprocess.run(tracked, capture_output=True, timeout=5).returncode:
            return None
        done = subprocess.run(describe, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
