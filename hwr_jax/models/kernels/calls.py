"""Calls of the C++ kernels from JAX: for several seeds under `vmap`, and over any number of devices."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from hwr_jax.core.errors import ConfigError
from hwr_jax.distributed import processes
from hwr_jax.models.kernels import build

CONVOLUTION, SUMS, READ, READ_BACK = "hwr_convolution", "hwr_sums", "hwr_read", "hwr_read_back"


@functools.cache
def available() -> bool:
    """Whether this process can use the kernels and, in a job of many processes, all others can; builds them if need be.

    All processes of a job call it together the first time: they have to compute the same program.
    """
    return not processes.highest(int(not _registered()))


def fit(precision: str) -> bool:
    """Whether a network that computes in `precision` can use the kernels here: in float32, on a CPU that has them."""
    return jax.default_backend() == "cpu" and precision == "float32" and available()


def what() -> str:
    """Returns how the kernels were built, or why they are not used, in words."""
    if not available() and build.kernel().library is not None:
        return "another process of the job has none"
    return build.kernel().what


def refusal(key: str, others: str) -> ConfigError:
    """Returns the error about `config.model.<key>` = compiled where there are no kernels; `others` are allowed."""
    return ConfigError(f"config.model.{key}=compiled is not possible here ({what()}): use {others}")


@functools.cache
def _registered() -> bool:
    library = build.kernel().library
    if library is None:
        return False
    jax.ffi.register_ffi_target(CONVOLUTION, jax.ffi.pycapsule(library.HwrConvolution), platform="cpu")
    jax.ffi.register_ffi_target(SUMS, jax.ffi.pycapsule(library.HwrSums), platform="cpu")
    jax.ffi.register_ffi_target(READ, jax.ffi.pycapsule(library.HwrRead), platform="cpu")
    jax.ffi.register_ffi_target(READ_BACK, jax.ffi.pycapsule(library.HwrReadBack), platform="cpu")
    return True


def spread(call: Callable, rule: str, arguments: tuple[bool, ...], results: tuple[bool, ...]) -> Callable:
    """Returns `call` as a function that `vmap` and XLA's partitioner can split.

    Args:
      call: of arrays [S, ...] to a tuple of such; S counts independent calls (seeds).
      rule: its axes, in the language of `custom_partitioning`.
      arguments, results: of each, whether its second axis is the batch, which devices may share. A result without that
        axis is a sum over the batch.

    Raises:
      RuntimeError: this machine cannot build the kernels (see `available`).
    """
    if not available():
        raise RuntimeError(f"there are no compiled kernels here: {what()}")
    run = custom_vmap(_partitioned(call, rule, arguments, results))

    def tracked(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(varying_as(x, *arrays) for x in run(*arrays))

    @run.def_vmap
    def over(size: int, batched: list[bool], *arrays: jax.Array):
        pairs = zip(arrays, batched, strict=True)
        every = [x if has else jnp.broadcast_to(x, (size, *x.shape)) for x, has in pairs]
        out = run(*(x.reshape(size * x.shape[1], *x.shape[2:]) for x in every))
        return tuple(x.reshape(size, len(x) // size, *x.shape[1:]) for x in out), (True,) * len(results)

    return tracked


def varying_as(x: jax.Array, *others: jax.Array) -> jax.Array:
    """Returns x, marked as varying over the mapped axes over which any of the others varies (see `jax.shard_map`)."""
    missing = frozenset().union(*map(_varying, others)) - _varying(x)
    return lax.pcast(x, tuple(missing), to="varying") if missing else x


def _varying(x: jax.Array) -> frozenset:
    """The mapped axes over which x varies, under either name that releases of JAX have for them."""
    kind = jax.typeof(x)
    of_mesh = getattr(kind, "manual_axis_type", None)
    return kind.vma if of_mesh is None else of_mesh.varying


def _partitioned(call: Callable, rule: str, arguments: tuple[bool, ...], results: tuple[bool, ...]) -> Callable:
    def split(mesh: Any, given: Any, result: Any):
        first = given[arguments.index(True)]
        spec = (*first.sharding.spec, None, None)

        def evenly(axis: int) -> Any:
            """The mesh axes over which an axis of the arrays lies; None if they do not divide it, for XLA would pad."""
            names: Any = spec[axis]
            ways = math.prod(mesh.shape[name] for name in (names if isinstance(names, tuple) else (names,)) if name)
            return None if first.shape[axis] % ways else names

        seeds, batch = evenly(0), evenly(1)
        places = [
            NamedSharding(mesh, PartitionSpec(seeds, batch) if has else PartitionSpec(seeds))
            for has in (*arguments, *results)
        ]

        def part(*arrays: jax.Array) -> tuple[jax.Array, ...]:
            out = call(*arrays)
            return tuple(x if has or not batch else lax.psum(x, batch) for x, has in zip(out, results, strict=True))

        return mesh, part, tuple(places[len(arguments) :]), tuple(places[: len(arguments)])

    run = custom_partitioning(call)
    run.def_partition(partition=split, sharding_rule=rule)
    return run
