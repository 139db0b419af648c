"""The compilation cache: compiled programs on disk, a folder for each kind of processor and state of our kernels, and
its limit.

JAX can limit the cache itself, but then it cannot use entries that were written without a limit, and it waits for a
lock at each read: a limit that is kept only at the start of a command needs neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from hwr_jax.core import cores
from hwr_jax.models.kernels import build

UNREADABLE = r"Error reading persistent compilation cache entry for '([\w.<>-]+)':"  # JAX's warning
ENTRY = re.compile(r"[\w.<>-]+-[0-9a-f]{64}-cache")  # the names that JAX gives to entries
LIMIT_BYTES = 512 * 2**20  # a smoke run writes 1 MB, a large network some 10 MB


def cache_compilations(cache_dir: Path) -> None:
    """Keeps compiled programs in `cache_dir`/xla/<processor and kernels>, so that a second start need not compile.

    A kill can leave a truncated entry. JAX would keep it and warn at every start; here it is removed when first read.
    Beyond LIMIT_BYTES, the least recently used entries are removed first.
    """
    prune(cache_dir / "xla")
    folder = cache_dir / "xla" / hashlib.sha256(f"{cores.kind()}{build.digest()}".encode()).hexdigest()[:12]
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
    # Of the compiled convolution on several devices: an address that differs from process to process.
    jax.config.update("jax_remove_custom_partitioning_ptr_from_cache_key", True)


def prune(folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Removes the least recently used entries of the cache until the rest take up at most `limit_bytes`.

    Only regular files with the name of an entry, in the folders of processors, count and are removed. Other processes
    may use the cache meanwhile: one that is about to read a removed entry compiles the program again.

    Args:
      folder: of all processors' folders; it may be missing.
      limit_bytes: of all entries together.
    """
    entries = []
    for processor in _scan(folder):
        if not re.fullmatch("[0-9a-f]{12}", processor.name) or not processor.is_dir(follow_symlinks=False):
            continue
        for entry in _scan(processor.path):
            if ENTRY.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # another process removes it
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode):  # file systems need not note each reading: then it is the writing
                        entries.append((max(facts.st_atime_ns, facts.st_mtime_ns), facts.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit_bytes:
            break
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # another process has removed it
        except OSError:
            continue
        with contextlib.suppress(OSError):  # where JAX was told to keep a limit too, it notes the last use beside it
            os.unlink(path.removesuffix("-cache") + "-atime")
        total -= size


def _scan(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing, if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
