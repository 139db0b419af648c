"""A run in its run folder: the state, from wherever it comes, through the loop, into the folder's files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from hwr_jax.cli import console
from hwr_jax.core import files
from hwr_jax.core.types import TrainState, Tree
from hwr_jax.distributed.signals import Signals
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run, compile_training
from hwr_jax.training import loop
from hwr_jax.training.summary import finish
from hwr_jax.workdir import checkpoint, logs, run_folder


def train(
    run: Run,
    folder: Path,
    *,
    checkpoints_in: Path,
    env: dict,
    resume: bool,
    screen: Console,
    signals: Signals,
    started: float,
    last_epoch: int | None = None,
    begin: Callable[[TrainState], TrainState] = lambda state: state,
    more: Callable[[Tree, Tree], dict[str, Any]] = lambda params, model_state: {},
) -> dict[str, Any]:
    """Trains, evaluates on the test set once, and writes the run folder.

    Args:
      run: from `make_run`.
      folder: a locked run folder that `run_folder.begin` has begun.
      checkpoints_in: the run folder that all processes of the job share; of one process: `folder`.
      env: from `run_folder.environment`, noted when a run goes on.
      resume: go on from the newest checkpoint that verifies, if there is one.
      screen: for rows and tables.
      signals: entered; a signal saves and raises Stopped between two dispatches.
      started: `time.perf_counter()` at the start of the process.
      last_epoch: stop after it, and leave the test set alone; None: train to the end.
      begin: changes the state before step 0.
      more: further entries of summary.json, from the final (params, model_state).

    Returns:
      The content of summary.json; {} after `last_epoch`.

    Raises:
      Stopped, NotFiniteError, RunFolderError, OSError.
    """
    with checkpoint.Checkpoints(checkpoints_in, keep=run.config.checkpoint.keep) as checkpoints:
        found = checkpoints.newest(screen.print) if resume else None
        done = found == run.total_steps  # only the evaluation is left
        programs, compile_seconds = (run.programs, 0.0) if done else compile_training(run)
        state = _first_state(run, programs, folder, checkpoints, found, resume=resume, log=screen.print, begin=begin)
        step = int(state.step[0])
        if resume:
            run_folder.note_resume(folder, env, step)
        timing = logs.Timing(folder / "timing.jsonl", started)
        timing.write("start", step=step, compile_seconds=round(compile_seconds, 4))
        config_text = (folder / "config.json").read_text()
        writer = logs.TensorBoard(folder / "tensorboard", run.seeds, config_text, step if resume else None)
        with contextlib.closing(writer) as board:  # however it ends: what is not flushed yet would be lost
            per_step = len(run.seeds) * run.config.batch_size
            with console.progress_bar(screen, images=per_step * run.total_steps, done=step * per_step) as advance:

                def record(line):
                    files.append_json_line(folder / "metrics.jsonl", line)
                    board.write(line)

                def roll_back(scale):
                    checkpoints.wait()
                    log = screen.print
                    return _rolled_back(run, programs, folder, checkpoints, scale, log=log, begin=begin)

                tools = loop.Tools(
                    screen.print,
                    signals,
                    checkpoints,
                    timing,
                    record,
                    roll_back,
                    lambda step: f"saved step {step} in {checkpoints_in}; the same command goes on from there",
                    advance,
                )
                state = loop.epochs(run, programs, state, tools, last_epoch=last_epoch)
            signals.deferred = False
            if last_epoch is not None:
                return {}
            signals.raise_pending(f"all steps are done and saved in {folder}; the same command evaluates them")
            return finish(run, programs, state, folder, board, timing, more=more)


def _first_state(
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


def _rolled_back(
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
    state = _first_state(run, programs, folder, checkpoints, step, resume=True, log=log, begin=begin)
    return state._replace(faults=state.faults._replace(scale=jax.device_put(scale, run.sharding)))
