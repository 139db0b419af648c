"""What works on this machine, and how to fix what does not. Each check does the real thing, in a small size."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from hwr_jax.core import xla
from hwr_jax.core.errors import DataError
from hwr_jax.data import cache, find, tfds_reader
from hwr_jax.data.sources import SOURCES, Source
from hwr_jax.workdir import machine

LITTLE_BYTES = 2_000_000_000  # free: below this, a note
ROWS = 40_000
GOOD, NOTE, BAD = "good", "note", "bad"


class Finding(NamedTuple):
    """The result of a check."""

    status: str  # good, note (works, but read this) or bad
    what: str
    fix: str = ""  # what to do


def examine(data_dir: str | None) -> Iterator[tuple[str, Finding]]:
    """Yields the name and the finding of each check; a check that crashes is a finding too.

    Args:
      data_dir: folder of tensorflow-datasets; None: the usual one.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "Python": python,
        "packages": packages,
        "devices": devices,
        "computing": computing,
        "sums": sums,
        "devices together": collectives,
        "threads": threads,
        "compiled kernels": compiled_kernels,
        "cache": cache_folder,
        "checkpoints": checkpoints,
    }
    for name, check in checks.items():
        yield name, _safely(check)
    for source in SOURCES.values():
        if source.name in ("mnist", "digits") or os.environ.get(find.variable(source)):
            yield f"data: {source.name}", _safely(lambda source=source: data(source, data_dir))


def _safely(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        return Finding(BAD, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}", "see the error")


def python() -> Finding:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11) or sys.maxsize <= 2**32:
        return Finding(BAD, f"{version} at {sys.executable}", "use CPython 3.11 or newer, 64 bits")
    return Finding(GOOD, f"{version} at {sys.executable}")


def packages() -> Finding:
    """Installed versions against those that this version of hwr_jax requires."""
    from packaging.requirements import Requirement

    try:
        needs = metadata.requires("hwr_jax") or []
    except metadata.PackageNotFoundError:
        return Finding(NOTE, "hwr_jax is not installed, only on the path: not checked", "pip install . in its folder")
    wrong = []
    for line in needs:
        need = Requirement(line)
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{need.name} is missing")
            continue
        if not need.specifier.contains(found, prereleases=True):
            wrong.append(f"{need.name} {found} is not {need.specifier}")
    if wrong:
        return Finding(BAD, "; ".join(wrong), "pip install --upgrade . in the repository, or use scripts/run.py")
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "flax", "optax", "orbax-checkpoint"))
    return Finding(GOOD, shown)


def devices() -> Finding:
    """What JAX computes on."""
    import jax

    found = jax.devices()
    words = f"{len(found)} x {found[0].device_kind} ({jax.default_backend()})"
    if jax.default_backend() == "cpu" and Path("/proc/driver/nvidia/version").exists():
        return Finding(NOTE, f"{words}, although there is an NVIDIA GPU", "HWR_EXTRA=cuda python3 scripts/run.py ...")
    return Finding(GOOD, words)


def computing() -> Finding:
    """A matrix product and its gradient against NumPy."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    a, b = (np.random.default_rng(i).normal(size=(64, 64)).astype(np.float32) for i in (0, 1))
    value, gradient = jax.jit(jax.value_and_grad(lambda a: jnp.sum(jnp.square(jnp.dot(a, b, precision="highest")))))(a)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = abs(float(value) / np.sum(exact**2) - 1), np.max(np.abs(gradient - 2 * exact @ b.T)) / np.max(np.abs(exact))
    if max(error) > 1e-3:
        return Finding(BAD, f"a matrix product is wrong by {max(error):.1g}", "update the driver and jaxlib")
    return Finding(GOOD, f"a matrix product and its gradient, right to {max(error):.1g}")


def sums() -> Finding:
    """Two sums that jaxlib gets wrong on CPU without the flag of `core.xla`: of rows, and in a softmax."""
    import jax

    wrong, error = wrong_rows(), softmax_error()
    if wrong or not error < 1e-6:  # also if it is NaN
        fix = "update the driver and jaxlib"
        if jax.default_backend() == "cpu":
            fix = f"put {xla.FLAG} into XLA_FLAGS before JAX starts (it has {os.environ.get('XLA_FLAGS', '')!r})"
        words = f"{wrong:,} of {ROWS:,} sums are wrong, and a softmax of equal scores is off by {error:.1g}"
        return Finding(BAD, words, fix)
    return Finding(GOOD, f"{ROWS:,} sums of a vmap and a softmax, right to {error:.1g}")


def wrong_rows() -> int:
    """Returns how many of ROWS sums of three squares XLA gets wrong, against NumPy in float64 (jax issue 39103)."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    draw = np.random.default_rng(0)
    matrix, rows = (draw.normal(size=(n, 3)).astype(np.float32) for n in (3, ROWS))
    # A GPU or TPU rounds the factors of a product of any other precision.
    found = jax.jit(jax.vmap(lambda row: jnp.sum(jnp.square(jnp.dot(matrix, row, precision="highest")))))(rows)
    exact = np.square(rows.astype(np.float64) @ matrix.T.astype(np.float64)).sum(axis=1)
    return int(np.sum(~(np.abs(np.asarray(found) - exact) <= 1e-3 * (1 + exact))))


def softmax_error() -> float:
    """Returns the largest error (or NaN) of a softmax of 1,000 x 10 equal scores that constant weights produce."""
    import jax
    import numpy as np

    weights, images = np.zeros((784, 10), np.float32), np.random.default_rng(2).random((1000, 784), np.float32)
    found = np.asarray(jax.jit(lambda images: jax.nn.softmax(images @ weights))(images))
    return float(np.max(np.abs(found - 0.1)))


def collectives() -> Finding:
    """A sum over all devices."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from hwr_jax.distributed import sharding

    count = jax.device_count()
    if count == 1:
        return Finding(GOOD, "one device: nothing to exchange")
    mesh = sharding.make_mesh(0, batch_size=count)
    place = sharding.over_data(mesh)
    total = jax.jit(lambda x: jnp.sum(place(x)), out_shardings=sharding.replicated(mesh))(np.arange(float(count)))
    if float(total) != count * (count - 1) / 2:
        return Finding(BAD, f"the sum over {count} devices is wrong", "--devices=1 works around it; update the driver")
    return Finding(GOOD, f"{count} devices add up")


def threads() -> Finding:
    """How many threads XLA computes with."""
    import jax

    count = machine.threads()
    if count == 1 and jax.default_backend() == "cpu":
        return Finding(
            NOTE, "one", "the last bits of a run differ from those with two to eight (docs/reproducibility.md)"
        )
    return Finding(GOOD, str(count))


def compiled_kernels() -> Finding:
    """Whether this machine builds the kernels of convolutions and recurrent layers; computes with them."""
    import jax

    from hwr_jax.models.kernels import build, exactness

    kernel = build.kernel()
    if kernel.library is not None:
        return Finding(
            GOOD, f"built by {kernel.what}; right to {exactness.TOLERANCE:g} in {exactness.CASES_IN_ALL} cases"
        )
    if jax.default_backend() != "cpu":
        return Finding(GOOD, f"not needed: {kernel.what}")
    fix = "convolutions and recurrent layers take about twice the time without: install a C++ compiler, such as g++"
    return Finding(NOTE, f"none: {kernel.what}", fix)


def cache_folder() -> Finding:
    """Whether the cache is writable, and how much space is left."""
    folder = cache.default_cache_dir()
    fix = "free some space there, or name another folder in HWR_CACHE_DIR"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return Finding(BAD, f"{folder} cannot be written: {error.strerror}", fix)
    free = shutil.disk_usage(folder).free
    if free < LITTLE_BYTES:
        return Finding(NOTE, f"{folder}: {free / 1e9:.1f} GB free", fix)
    return Finding(GOOD, f"{folder}: {free / 1e9:.0f} GB free")


def checkpoints() -> Finding:
    """Saves, verifies and restores a state on the disk of the working folder."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from hwr_jax.workdir import checkpoint

    state = {"w": jnp.arange(1000.0), "key": jax.random.key(7)}
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)
    with (
        tempfile.TemporaryDirectory(prefix=".hwr_jax-doctor-", dir=Path.cwd()) as folder,
        checkpoint.Checkpoints(Path(folder)) as saved,
    ):
        saved.save(1, state)
        saved.wait()
        step = saved.newest(lambda problem: None)
        same = step == 1 and np.array_equal(saved.restore(1, like)["w"], state["w"])
    if not same:
        return Finding(BAD, "a checkpoint has changed on disk", "use another disk for --workdir")
    return Finding(GOOD, f"saved, verified and restored in {Path.cwd()}")


def data(source: Source, data_dir: str | None) -> Finding:
    """Where a data set would come from; reads only the cache."""
    folder = cache.folder(None, source)
    if folder.exists():
        try:
            cache.read(folder, source)
        except DataError as damage:
            return Finding(NOTE, str(damage), "the next run rebuilds it")
        return Finding(GOOD, f"verified in the cache: {folder}")
    if source.name == "digits":
        return Finding(GOOD, "comes with scikit-learn")
    tfds = tfds_reader.folder(tfds_reader.root(data_dir), source)
    if tfds.exists():
        return Finding(GOOD, f"in the folder of tensorflow-datasets: {tfds}")
    variable = find.variable(source)
    named = os.environ.get(variable)
    if named and (missing := find.missing(source, Path(named).expanduser())):
        return Finding(BAD, f"{variable}={named} has no {missing}", "put the original files there, or unset it")
    if named:
        return Finding(GOOD, f"original files in {named}")
    return Finding(NOTE, "not here yet: the next run downloads it", f"without a network, name its folder in {variable}")
