"""The state that training begins with: a fresh one, one with other weights, or that of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from hwr_jax.core.types import TrainState
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run
from hwr_jax.workdir import checkpoint, logs


def first_state(
    run: Run,
    programs: Programs,
    folder: Path,
    checkpoints: checkpoint.Checkpoints,
    step: int | None,
    *,
    resume: bool,
    log: Callable[[str], None],
    begin: Callable[[TrainState], TrainState] = lambda state: state,
) -> TrainState:
    """Returns the state to go on from: of the checkpoint of `step`, else (None) what `begin` makes of a fresh one."""
    logs.cut_metrics(folder / "metrics.jsonl", -1 if step is None else step)
    checkpoints.drop_after(step)
    if step is None:
        if resume:
            log(f"{folder} has no checkpoint yet: beginning with step 0")
        return begin(programs.init(run.seed_array()))
    log(f"going on from step {step} in {folder}")
    return checkpoints.restore(step, run.state_shapes())


def rolled_back(
    run: Run,
    programs: Programs,
    folder: Path,
    checkpoints: checkpoint.Checkpoints,
    scale: np.ndarray,
    *,
    log: Callable[[str], None],
    begin: Callable[[TrainState], TrainState],
) -> TrainState:
    """Returns the state of the newest checkpoint, or a fresh one, with `scale` float32 [S] of the learning rates."""
    step = checkpoints.newest(log)
    state = first_state(run, programs, folder, checkpoints, step, resume=True, log=log, begin=begin)
    return state._replace(faults=state.faults._replace(scale=jax.device_put(scale, run.sharding)))
