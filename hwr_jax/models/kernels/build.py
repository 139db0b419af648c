"""Builds the C++ kernel with the machine's compiler, keeps it in the cache, and checks it before its first use.

Without a compiler, or if anything goes wrong, there is no kernel, and `kernel()` says why in one sentence.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jaxlib

from hwr_jax.core import cores, files
from hwr_jax.data import cache
from hwr_jax.models.kernels import exactness, trial

SOURCE = Path(__file__).with_name("kernels.cc")
HEADERS = (
    "cells.h", "convolution.h", "exponential.h", "few_tiles.h", "plain.h", "products.h", "recurrent.h", "shape.h",
    "shared.h", "single_channel.h", "sums.h", "winograd.h",
)  # fmt: skip
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-w")
NATIVE = ("-march=native", "-mcpu=native")  # which of them a compiler knows depends on the processor
SWITCH = "HWR_KERNEL"  # environment variable: 0 leaves the kernel out
LEFT_S = 24 * 3600  # an unfinished build that is older was killed
LIMIT_S = 300  # a compiler that takes longer hangs: a second or ten are usual


_ONE_AT_A_TIME = threading.Lock()  # the threads of a server may all ask first


class Kernel(NamedTuple):
    """The kernel of this process."""

    library: ctypes.CDLL | None  # None: there is none
    what: str  # how it was built, or why there is none


class _Failed(Exception):
    """Why there is no kernel."""


@functools.cache
def kernel() -> Kernel:
    """Returns the kernel: from the cache, or built now, which takes some seconds, once per machine."""
    with _ONE_AT_A_TIME:
        return _kernel()


def _kernel() -> Kernel:
    if os.environ.get(SWITCH) == "0":
        return Kernel(None, f"{SWITCH}=0")
    if jax.default_backend() != "cpu":
        return Kernel(None, f"the device is a {jax.default_backend().upper()}")
    try:
        compiler, version = _compiler()
        path = _path(compiler, version)
        library = _loaded(path)
        if library is None:
            _compile(compiler, path)
            library = _loaded(path)
        if library is None:
            raise _Failed(f"{path} cannot be loaded")
        if wrong := exactness.wrong(library):
            raise _Failed(f"{path}, which {version} made, computes wrong ({wrong})")
        return Kernel(library, f"{version}, {cores.vectors()}")
    except (_Failed, OSError, ValueError, RuntimeError) as why:
        return Kernel(None, str(why))


def _compiler() -> tuple[list[str], str]:
    """Returns the command of the compiler and the first line of its --version."""
    own = os.environ.get("CXX")
    commands = [shlex.split(own)] if own else [[name] for name in COMPILERS]
    why = f"CXX={own} is not a compiler that runs" if own else f"no C++ compiler ({', '.join(COMPILERS)}) is installed"
    for command in commands:
        if command and shutil.which(command[0]):
            try:
                done = _run([*command, "--version"])
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0 and done.stdout.strip():
                return command, done.stdout.splitlines()[0].strip()
    raise _Failed(why)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S)


def digest() -> str:
    """Returns the SHA-256 of the kernels' sources, of what calls them too: compiled programs depend on all of them."""
    total = hashlib.sha256()
    for path in sorted(SOURCE.parent.glob("*.[ch]*")) + sorted(SOURCE.parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()


def _path(compiler: list[str], version: str) -> Path:
    """Where the library lies in the cache: its name has all that it depends on."""
    sources = (SOURCE.with_name(name).read_text() for name in (SOURCE.name, *HEADERS))
    parts = (*sources, *compiler, version, *FLAGS, jaxlib.__version__, cores.kind())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return cache.default_cache_dir() / "kernels" / f"kernels-{key[:16]}.so"


def _digest(path: Path) -> Path:
    """Where the SHA-256 of a library lies: one that a full disk or a kill has cut off is not loaded."""
    return path.with_suffix(".sha256")


def _compile(compiler: list[str], path: Path) -> None:
    """Compiles to a file of another name first, so that `path` is never a torn file and builds may run side by side."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in path.parent.glob("draft-*.so"):  # of a build that was killed
            if time.time() - left.stat().st_mtime > LEFT_S:
                left.unlink(missing_ok=True)
        handle, draft = tempfile.mkstemp(prefix="draft-", suffix=".so", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _Failed(f"the cache {path.parent} cannot be written ({error.strerror})") from None
    if sys.stderr.isatty():
        print("hwr_jax: building the C++ kernels, once on this machine: it takes some seconds", file=sys.stderr)
    try:
        said = ""
        for native in NATIVE:
            command = [*compiler, *FLAGS, native, f"-I{jax.ffi.include_dir()}", str(SOURCE), "-o", draft]
            try:
                done = _run(command)
            except OSError as error:
                raise _Failed(f"{compiler[0]} did not start ({error.strerror})") from None
            except subprocess.TimeoutExpired:
                raise _Failed(f"{compiler[0]} did not end within {LIMIT_S} s") from None
            if done.returncode == 0:
                os.chmod(draft, 0o700)
                _try(draft, compiler[0])
                files.write_atomic(_digest(path), hashlib.sha256(Path(draft).read_bytes()).hexdigest())
                os.replace(draft, path)
                return
            said = said or next((line for line in done.stderr.splitlines() if line.strip()), f"exit {done.returncode}")
        raise _Failed(f"{' '.join(compiler)} failed: {said.strip()[:200]}")
    except OSError as error:
        raise _Failed(f"the cache {path.parent} cannot be written ({error.strerror})") from None
    finally:
        Path(draft).unlink(missing_ok=True)


def _try(library: str, compiler: str) -> None:
    """Calls the kernels of a new library in another process: a compiler's mistake would crash this one."""
    try:
        done = _run([sys.executable, "-I", trial.__file__, library])
    except subprocess.TimeoutExpired:
        raise _Failed(f"a kernel that {compiler} made did not end within {LIMIT_S} s") from None
    if done.returncode < 0:
        raise _Failed(f"a kernel that {compiler} made crashes ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise _Failed(f"what {compiler} made cannot be used: {said[-1][:200]}")


def _loaded(path: Path) -> ctypes.CDLL | None:
    """Returns the library, or None if it is not there or damaged.

    Raises:
      _Failed: somebody else could have written it.
    """
    try:
        for place in (path.parent, path):
            facts = place.stat()
            if hasattr(os, "geteuid") and (facts.st_uid not in (os.geteuid(), 0) or facts.st_mode & 0o022):
                raise _Failed(f"{place} is not yours alone to write: remove it, or set its mode to 700")
        if hashlib.sha256(path.read_bytes()).hexdigest() != _digest(path).read_text().strip():
            return None
        library = ctypes.CDLL(str(path))
        library.HwrConvolve.restype = library.HwrSum.restype = library.HwrReadAlone.restype = None
        entries = (library.HwrConvolution, library.HwrSums, library.HwrRead, library.HwrReadBack)
        return library if all(entries) else None
    except (OSError, AttributeError):
        return None
