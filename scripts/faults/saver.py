"""Saves one state after another until it is killed, and prints a line before and after each:
`python saver.py FOLDER PORT PROCESSES PROCESS`."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import hwr_jax.distributed.processes
from hwr_jax.distributed import sharding
from hwr_jax.workdir import checkpoint

WIDTH = 250_000  # a state of 1 MB


def state(step):
    """The state of a step: every value depends on the step."""
    return {"step": jnp.int32(step), "w": jnp.full(WIDTH, float(step)) + jnp.arange(float(WIDTH)) / WIDTH}


def _on_all(state):
    """The same state, held by the devices of every process."""
    whole = sharding.replicated(sharding.make_mesh(0, batch_size=jax.device_count()))

    def spread(x):
        own = np.asarray(x)
        return jax.make_array_from_callback(own.shape, whole, lambda index: own[index])

    return jax.tree.map(spread, state)


if __name__ == "__main__":
    folder, port, processes, process = Path(sys.argv[1]), *map(int, sys.argv[2:])
    if processes > 1:
        hwr_jax.distributed.processes.start(f"127.0.0.1:{port}", processes, process)
    with checkpoint.Checkpoints(folder, keep=3) as checkpoints:
        step = checkpoints.newest(print) or 0
        checkpoints.drop_after(step or None)
        while True:
            step += 1
            print("begin", step, flush=True)
            checkpoints.save(step, _on_all(state(step)))
            checkpoints.wait()
            print("done", step, flush=True)
