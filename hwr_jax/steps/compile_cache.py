"""The compilation cache: compiled programs on disk, one folder for each kind of processor."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

UNREADABLE = r"Error reading persistent compilation cache entry for '([\w.<>-]+)':"  # JAX's warning


def cache_compilations(cache_dir: Path) -> None:
    """Keeps compiled programs in `cache_dir`/xla/<kind of processor>, so that a second start need not compile.

    A kill can leave a truncated entry. JAX would keep it and warn at every start; here it is removed when first read.
    """
    folder = cache_dir / "xla" / hashlib.sha256(_processor().encode()).hexdigest()[:12]
    jax.config.update("jax_compilation_cache_dir", str(folder))
    show: Callable[..., None] = warnings.showwarning

    def remove_unreadable(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        if unreadable := re.match(UNREADABLE, str(message)):
            for entry in folder.glob(f"{unreadable[1]}-*"):
                entry.unlink(missing_ok=True)
        else:
            show(message, *args, **kwargs)

    warnings.showwarning = remove_unreadable  # ty: ignore[invalid-assignment]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _processor() -> str:
    # A program compiled for one processor's instructions may crash on another (a home folder shared by machines).
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(line for line in first if line.startswith(("model name", "flags", "Features", "CPU part")))
    except OSError:
        return f"{platform.machine()} {platform.processor()} {os.name}"
