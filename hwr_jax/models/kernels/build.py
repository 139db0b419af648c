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
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jaxlib
import numpy as np

from hwr_jax.core import cores
from hwr_jax.data import cache

SOURCE = Path(__file__).with_name("convolution.cc")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-w")
NATIVE = ("-march=native", "-mcpu=native")  # which of them a compiler knows depends on the processor
SWITCH = "HWR_KERNEL"  # environment variable: 0 leaves the kernel out
LIMIT_S = 300  # a compiler that takes longer hangs: a second or ten are usual
TOLERANCE = 1e-5  # of the largest value


class Kernel(NamedTuple):
    """The kernel of this process."""

    library: ctypes.CDLL | None  # None: there is none
    what: str  # how it was built, or why there is none


class _Failed(Exception):
    """Why there is no kernel."""


@functools.cache
def kernel() -> Kernel:
    """Returns the kernel: from the cache, or built now, which takes some seconds, once per machine."""
    if os.environ.get(SWITCH) == "0":
        return Kernel(None, f"{SWITCH}=0")
    if jax.default_backend() != "cpu":
        return Kernel(None, f"the device is a {jax.default_backend().upper()}")
    try:
        compiler, version = _compiler()
        path = _path(version)
        library = _loaded(path) if path.exists() else None
        if library is None:
            _compile(compiler, path)
            library = _loaded(path)
        if library is None:
            raise _Failed(f"{path} cannot be loaded")
        if wrong := deviation(library):
            raise _Failed(f"what {version} made of {SOURCE.name} computes wrong ({wrong})")
        return Kernel(library, f"{version}, {cores.vectors()}")
    except _Failed as why:
        return Kernel(None, str(why))


def _compiler() -> tuple[list[str], str]:
    """Returns the command of the compiler and the first line of its --version."""
    own = os.environ.get("CXX")
    commands = [shlex.split(own)] if own else [[name] for name in COMPILERS]
    why = f"CXX={own} is not a compiler that runs" if own else f"no C++ compiler ({', '.join(COMPILERS)}) is installed"
    for command in commands:
        if command and shutil.which(command[0]):
            try:
                done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=LIMIT_S)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0 and done.stdout.strip():
                return command, done.stdout.splitlines()[0].strip()
    raise _Failed(why)


def _path(version: str) -> Path:
    """Where the library lies in the cache: its name has all that it depends on."""
    parts = (SOURCE.read_bytes(), version, " ".join(FLAGS), jaxlib.__version__, cores.kind())
    key = hashlib.sha256("\0".join(p if isinstance(p, str) else p.decode() for p in parts).encode()).hexdigest()
    return cache.default_cache_dir() / "kernels" / f"convolution-{key[:16]}.so"


def _compile(compiler: list[str], path: Path) -> None:
    """Compiles to a file of another name first, so that `path` is never a torn file and builds may run side by side."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(suffix=".so", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _Failed(f"the cache {path.parent} cannot be written ({error.strerror})") from None
    try:
        said = ""
        for native in NATIVE:
            command = [*compiler, *FLAGS, native, f"-I{jax.ffi.include_dir()}", str(SOURCE), "-o", draft]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise _Failed(f"{compiler[0]} did not end ({type(error).__name__})") from None
            if done.returncode == 0:
                os.replace(draft, path)
                return
            said = said or next((line for line in done.stderr.splitlines() if line.strip()), f"exit {done.returncode}")
        raise _Failed(f"{' '.join(compiler)} failed: {said.strip()[:200]}")
    except OSError as error:
        raise _Failed(f"the cache {path.parent} cannot be written ({error.strerror})") from None
    finally:
        Path(draft).unlink(missing_ok=True)


def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        library.HwrConvolve.restype = None
        return library if library.HwrConvolution else None
    except (OSError, AttributeError):
        return None


CASES = (  # B, H, W, C, F, kernel side, stride, padding: each of the kernel's ways once
    (3, 9, 8, 9, 11, 3, 1, 1),
    (2, 7, 7, 66, 64, 3, 1, 0),
    (3, 9, 9, 1, 5, 5, 1, 0),
    (2, 9, 8, 16, 12, 3, 2, 1),
    (2, 8, 8, 24, 40, 1, 2, 0),
)


def deviation(library: ctypes.CDLL) -> str:
    """Compares the library with sums in float64; returns what is wrong in words, or nothing."""
    draw = np.random.default_rng(0).standard_normal
    for batch, height, width, channels, features, side, stride, padding in CASES:
        down, across = ((size + 2 * padding - side) // stride + 1 for size in (height, width))
        image = draw((batch, height, width, channels), np.float32)
        weights = draw((side, side, channels, features), np.float32)
        gradient = draw((batch, down, across, features), np.float32)
        shape = np.array(
            [*image.shape, down, across, features, side, side, stride, stride, padding, padding], np.int64
        )  # as in the source's Shape
        wanted = reference(image, weights, gradient, stride, padding)
        for what, (left, right) in enumerate(((image, weights), (weights, gradient), (image, gradient))):
            found = np.full(wanted[what].shape, np.nan, np.float32)
            library.HwrConvolve(
                ctypes.c_int64(what), *(ctypes.c_void_p(a.ctypes.data) for a in (left, right, shape, found))
            )
            error = np.max(np.abs(found - wanted[what])) / np.max(np.abs(wanted[what]))
            if not error <= TOLERANCE:  # NaN too
                name = ("result", "gradient of the image", "gradient of the kernel")[what]
                return f"the {name} of {side}x{side} kernels with stride {stride}: error {error:.1e}"
    return ""


def reference(
    image: np.ndarray, weights: np.ndarray, gradient: np.ndarray, stride: int, padding: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the convolution of image [B, H, W, C] with weights [k, k, C, F] and, for a gradient [B, H', W', F] of it,
    the gradients of the image and of the weights, in float64."""
    side, (down, across) = len(weights), gradient.shape[1:3]
    padded = np.pad(image.astype(np.float64), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    result, of_image, of_weights = np.zeros(gradient.shape), np.zeros(padded.shape), np.zeros(weights.shape)
    for i in range(side):
        for j in range(side):
            rows, columns = slice(i, i + stride * down, stride), slice(j, j + stride * across, stride)
            window = padded[:, rows, columns][:, :down, :across]
            result += window @ weights[i, j].astype(np.float64)
            of_image[:, rows, columns][:, :down, :across] += gradient @ weights[i, j].T.astype(np.float64)
            of_weights[i, j] = np.tensordot(window, gradient.astype(np.float64), ((0, 1, 2), (0, 1, 2)))
    inside = slice(padding, -padding or None)
    return result, of_image[:, inside, inside], of_weights
