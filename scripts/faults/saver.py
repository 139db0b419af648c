"""Saves states one after the other until it is killed, and says before and after each: `python saver.py FOLDER`."""

import sys
from pathlib import Path

import jax.numpy as jnp

from hwr_jax import checkpoint

WIDTH = 250_000  # a state of 1 MB


def state(step):
    """The state of a step: every value tells the step."""
    return {"step": jnp.int32(step), "w": jnp.full(WIDTH, float(step)) + jnp.arange(float(WIDTH)) / WIDTH}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with checkpoint.Checkpoints(folder, keep=3) as checkpoints:
        step = checkpoints.newest(print) or 0
        checkpoints.drop_after(step or None)
        while True:
            step += 1
            print("begin", step, flush=True)
            checkpoints.save(step, state(step))
            checkpoints.wait()
            print("done", step, flush=True)
