"""A run in its run folder: the state, from wherever it comes, through the loop, into the folder's files."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hwr_jax.cli import console
from hwr_jax.core import files
from hwr_jax.core.types import TrainState
from hwr_jax.distributed import processes
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run, compile_training
from hwr_jax.training import loop, transfer
from hwr_jax.training.session import Session
from hwr_jax.training.summary import finish
from hwr_jax.workdir import checkpoint, logs, run_folder, trackers


def train_in_folder(
    run: Run,
    folder: Path,
    session: Session,
    *,
    env: dict,
    resume: bool,
    warm_start: transfer.WarmStart | None = None,
    last_epoch: int | None = None,
) -> dict[str, Any]:
    """Trains, evaluates on the test set once, and writes the run folder.

    Args:
      run: from `make_run`.
      folder: where this process writes, after `run_folder.begin`: on the main process the session's folder.
      session: its folder is claimed and locked, and holds the checkpoints of all processes.
      env: from `run_folder.environment`; recorded again when a run is resumed.
      resume: resume from the newest checkpoint that verifies, if there is one.
      warm_start: the weights to begin with; None: random ones.
      last_epoch: stop after this epoch, and leave the test set alone; None: train to the end.

    Returns:
      The content of summary.json; {} after `last_epoch`.

    Raises:
      Stopped: a signal came; the state is saved.
      NotFiniteError: the loss or a gradient became NaN or infinite, and the policy says halt, or its limit is reached.
      RunFolderError: a checkpoint cannot be read or written.
      OSError: another file cannot be read or written.
    """
    log, signals = session.screen.print, session.signals
    started = time.perf_counter() if session.started is None else session.started
    with checkpoint.Checkpoints(session.folder, keep=run.plan.keep) as checkpoints:
        saved = checkpoints.newest(log) if resume else None
        if saved == run.total_steps:  # only the evaluation is left
            programs, compile_seconds = run.programs, 0.0
        else:
            log("compiling: it may take a minute; programs that were compiled before are read from the cache")
            programs, compile_seconds = compile_training(run)
        state_at = functools.partial(_state_at, run, programs, folder, checkpoints, warm_start, log=log)
        rollbacks = logs.rollbacks(session.folder / "timing.jsonl") if resume else []
        state = state_at(saved, resume=resume)
        if rollbacks:  # the last one may be newer than the checkpoint
            state = _slowed(run, state, np.minimum(state.faults.scale, rollbacks[-1]))
        step = int(state.step[0])
        if resume:
            run_folder.note_resume(folder, env, step)
        origin = run_folder.origin(folder)
        timing = logs.Timing(folder / "timing.jsonl", started)
        timing.write("start", step=step, compile_seconds=round(compile_seconds, 4))
        board = _open_board(run, folder, session, step if resume else None)
        with contextlib.closing(board):  # however training ends, the events are flushed

            def record(line):
                line |= origin
                files.append_json_line(folder / "metrics.jsonl", line)
                board.write(line)

            def roll_back(scale):
                checkpoints.wait()
                state = state_at(checkpoints.newest(log), resume=True)
                timing.write("rollback", step=int(state.step[0]), scale=[float(factor) for factor in scale])
                return _slowed(run, state, scale)

            images_per_step = len(run.seeds) * run.plan.batch_size
            with console.progress_bar(
                session.screen, images=images_per_step * run.total_steps, done=images_per_step * step
            ) as progress:
                tools = loop.Tools(
                    signals=signals,
                    record=record,
                    stopped=lambda step: f"saved step {step} in {session.folder}; run the same command again to resume",
                    timing=_Times(timing, board),
                    log=log,
                    checkpoints=checkpoints,
                    roll_back=roll_back,
                    rolled_back=len(rollbacks),
                    progress=progress,
                )
                state = loop.epochs(run, programs, state, tools, last_epoch=last_epoch)
            signals.deferred = False
            if last_epoch is not None:
                return {}
            signals.raise_pending(
                f"all steps are done and saved in {folder}; run the same command again to evaluate them"
            )
            return finish(run, programs, state, folder, board, timing, warm_start=warm_start)


def _open_board(run: Run, folder: Path, session: Session, step: int | None) -> trackers.Boards:
    """Opens the event files and, on the main process, the trackers that the session asks for.

    `step`: where a resumed run stands; None: the run is new.
    """
    boards: list[trackers.Board] = [
        logs.TensorBoard(folder / "tensorboard", run.seeds, (folder / "config.json").read_text(), step)
    ]
    if session.track and processes.is_main_process():
        config, env = run_folder.read_config(folder), run_folder.read_environment(folder)
        boards += trackers.start(session.track, trackers.about(folder, config, env, run.seeds), session.screen.print)
    return trackers.Boards(boards)


def _slowed(run: Run, state: TrainState, scale: np.ndarray) -> TrainState:
    """Returns the state with another scale float32 [S] of its learning rates."""
    placed = jax.device_put(np.asarray(scale, np.float32), run.sharding)
    return state._replace(faults=state.faults._replace(scale=placed))


class _Times:
    """Writes what the loop reports about time to timing.jsonl, and the speed to the event files."""

    def __init__(self, timing: logs.Timing, board: trackers.Board):
        self._timing, self._board = timing, board

    def trained(self, event: str, *, step: int, train_seconds: float, images: int, **values: Any) -> None:
        """See `loop.Times`."""
        self._timing.trained(event, step=step, train_seconds=train_seconds, images=images, **values)
        self._board.speed(step, images / train_seconds)


def _state_at(
    run: Run,
    programs: Programs,
    folder: Path,
    checkpoints: checkpoint.Checkpoints,
    warm_start: transfer.WarmStart | None,
    step: int | None,
    *,
    resume: bool,
    log: Callable[[str], None],
) -> TrainState:
    """Returns the state that was saved at `step`, or a new one (None), and cuts the records back to it."""
    logs.cut_metrics(folder / "metrics.jsonl", -1 if step is None else step)
    checkpoints.drop_after(step)
    if step is not None:
        log(f"resuming from step {step} in {folder}")
        return checkpoints.restore(step, run.state_shapes())
    if resume:
        log(f"{folder} has no checkpoint yet: starting at step 0")
    state = programs.init(run.seed_array())
    return state if warm_start is None else transfer.put_in(run, state, warm_start)
