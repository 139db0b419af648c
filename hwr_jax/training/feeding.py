"""Where the steps get their batches: from the training set on the device, or streamed from disk."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax.core.types import Arrays, TrainState
from hwr_jax.data import stream
from hwr_jax.distributed import sharding
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run, on_device

Train = Callable[[TrainState, int], TrainState]  # (donated state, count) -> the state `count` steps later
Start = Callable[[jax.Array, int], Train]  # (order [S, steps, B] of an epoch, the step to begin at) -> its training


def make(run: Run, programs: Programs) -> Start:
    """Returns the function that starts an epoch, at its first step or in the middle."""
    return _streaming(run, programs) if run.plan.stream else _in_memory(run, programs)


def _in_memory(run: Run, programs: Programs) -> Start:
    training = on_device(run, run.dataset.train)

    def start(order: jax.Array, first: int) -> Train:
        return lambda state, count: programs.steps(state, training, order, jnp.int32(count))

    return start


def _streaming(run: Run, programs: Programs) -> Start:
    placed = sharding.batches_over_data(run.sharding)
    columns = _columns(placed, run.plan.batch_size)

    def place(local: np.ndarray) -> jax.Array:
        shape = (*local.shape[:2], run.plan.batch_size, *local.shape[3:])
        return jax.make_array_from_process_local_data(placed, local, shape)

    def start(order: jax.Array, first: int) -> Train:
        window = run.plan.steps_per_dispatch
        batches = stream.read(stream.Dispatches(run.dataset.train, np.asarray(order), first, window, columns))
        return lambda state, count: programs.stream(state, Arrays(*map(place, next(batches))), jnp.int32(count))

    return start


def _columns(placed: jax.sharding.NamedSharding, batch_size: int) -> slice:
    """The part of a batch that lies on this process's devices: one slice, since the mesh lists devices in order."""
    indices = placed.addressable_devices_indices_map((1, 1, batch_size)).values()
    parts = [index[2].indices(batch_size) for index in indices if index]
    return slice(min(first for first, _, _ in parts), max(last for _, last, _ in parts))
