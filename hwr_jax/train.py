"""The training loop: one for every model, data set and number of seeds or devices. Owns clocks and the run folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from hwr_jax import (
    beginning,
    checkpoint,
    console,
    evaluation,
    feeding,
    files,
    logs,
    metrics,
    nonfinite,
    run_folder,
    watchdog,
)
from hwr_jax.errors import NotFiniteError
from hwr_jax.programs import Programs
from hwr_jax.run import Run, compile_training, on_device
from hwr_jax.signals import Signals
from hwr_jax.steps import evaluated, stopped
from hwr_jax.summary import finish
from hwr_jax.types import Arrays, TrainState, Tree


class Tools(NamedTuple):
    """What the loop writes to."""

    folder: Path
    console: Console
    signals: Signals
    checkpoints: checkpoint.Checkpoints
    timing: logs.Timing
    board: logs.TensorBoard
    advance: Callable[[int, float], None]  # of the progress bar


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
        state = beginning.first_state(
            run, programs, folder, checkpoints, found, resume=resume, say=screen.print, begin=begin
        )
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
                tools = Tools(folder, screen, signals, checkpoints, timing, board, advance)
                state = _through_faults(run, programs, state, tools, begin, last_epoch or run.config.epochs)
            signals.deferred = False
            if last_epoch is not None:
                return {}
            signals.raise_pending(f"all steps are done and saved in {folder}; the same command evaluates them")
            return finish(run, programs, state, folder, board, timing, more=more)


def _through_faults(
    run: Run,
    programs: Programs,
    state: TrainState,
    tools: Tools,
    begin: Callable[[TrainState], TrainState],
    last_epoch: int,
) -> TrainState:
    """Trains up to an epoch; with config.nonfinite.policy=rollback, again from the last checkpoint where it must."""
    policy, limit = run.config.nonfinite.policy, run.config.nonfinite.limit
    scale = np.asarray(state.faults.scale)
    for rollback in range(1, limit + 2):
        try:
            return _epochs(run, programs, state, tools, last_epoch)
        except NotFiniteError as error:
            if policy != "rollback" or rollback > limit:
                raise
            scale = np.where(error.bad, scale / 2, scale).astype(np.float32)
            say, checkpoints = tools.console.print, tools.checkpoints
            say(f"{error}\nrollback {rollback} of {limit}, with half the learning rate of such seeds")
            checkpoints.wait()
            state = beginning.rolled_back(run, programs, tools.folder, checkpoints, scale, say=say, begin=begin)
    raise AssertionError("unreachable")


def _epochs(run: Run, programs: Programs, state: TrainState, tools: Tools, last_epoch: int) -> TrainState:
    """Trains whatever is left of the run up to an epoch, one by one."""
    config, per_epoch = run.config, run.recipe.steps_per_epoch
    done = int(state.step[0])
    if done == run.total_steps:
        return state
    validation, feed = on_device(run, run.dataset.validation), feeding.make(run, programs)
    tools.console.print(console.HEADER)
    for epoch in range(done // per_epoch, last_epoch):
        active = int(np.sum(~np.asarray(stopped(run.recipe, state))))
        if not active:
            tools.console.print(f"stopped: no seed has improved on validation for {config.eval.patience_epochs} epochs")
            break
        start = time.perf_counter()
        before = int(state.step[0])
        order = programs.order(run.seed_array(), jnp.int32(epoch))
        advance = feed(order, before % per_epoch)
        state, train_seconds = _one_epoch(run, state, advance, tools, active)
        lines, state = _close_epoch(run, programs, state, validation, epoch + 1)
        nonfinite.check_loss(run, np.asarray(lines[1]["per_seed"]["loss"]), int(state.step[0]))
        step = int(state.step[0])
        _record(tools, lines)
        last = epoch + 1 == last_epoch or bool(np.all(stopped(run.recipe, state)))
        if last or (epoch + 1) % config.checkpoint.every_epochs == 0 or tools.signals.pending:
            tools.checkpoints.save(step, state)
        images = (step - before) * config.batch_size * active
        tools.timing.trained("epoch", epoch=epoch + 1, step=step, train_seconds=train_seconds, images=images)
        wall = time.perf_counter() - start
        tools.console.print(console.epoch_row(epoch + 1, config.epochs, *lines, images / train_seconds, wall))
        if tools.signals.pending:
            _stop(state, tools)
    tools.checkpoints.wait()
    return state


def _one_epoch(
    run: Run, state: TrainState, advance: feeding.Advance, tools: Tools, active: int
) -> tuple[TrainState, float]:
    """Runs the steps left of an epoch, dispatch by dispatch; returns the state and the seconds inside the steps.

    `active`: how many seeds have not stopped early.
    """
    config, per_epoch = run.config, run.recipe.steps_per_epoch
    step = int(state.step[0])
    left = per_epoch - step % per_epoch
    total_seconds, begun = 0.0, left
    tools.signals.deferred = True
    while left:
        count = min(config.steps_per_dispatch, left)
        start = time.perf_counter()
        state = advance(state, count)
        loss = np.asarray(state.totals.loss)  # waits for the steps
        watchdog.alive()
        seconds = time.perf_counter() - start
        total_seconds += seconds
        left, step = left - count, step + count
        nonfinite.check_loss(run, loss, step)
        nonfinite.check_skipped(run, state, step)
        images = count * config.batch_size * len(run.seeds)
        tools.advance(images, images / seconds)
        tools.checkpoints.settle()
        if left and tools.signals.pending:
            images = (begun - left) * config.batch_size * active
            nonfinite.check_loss(run, nonfinite.magnitude(state), step)
            tools.checkpoints.save(step, state)
            tools.timing.trained("stopped", step=step, train_seconds=total_seconds, images=images)
            _stop(state, tools)
    return state, total_seconds


def _close_epoch(
    run: Run, programs: Programs, state: TrainState, validation: Arrays, epoch: int
) -> tuple[list[dict], TrainState]:
    """Evaluates on validation; returns the epoch's two metrics lines and the state with best and totals renewed."""
    totals = jax.tree.map(np.asarray, state.totals)
    nonfinite.check_trained(run, totals.examples, int(state.step[0]))
    outputs = evaluation.on_host(programs.predict(*evaluated(state), validation))
    label = np.asarray(run.dataset.validation.label)
    accuracy = np.array([np.mean(metrics.right(o.pred, label)) for o in outputs])
    loss = np.array([np.mean(o.loss, dtype=np.float64) for o in outputs])
    step = int(state.step[0])
    lines = [
        logs.metrics_line(
            epoch,
            step,
            "train",
            run.seeds,
            loss=totals.loss / totals.examples,
            accuracy=totals.hits / totals.examples,
            learning_rate=np.full(len(run.seeds), run.recipe.schedule(step - 1)) * np.asarray(state.faults.scale),
        ),
        logs.metrics_line(epoch, step, "validation", run.seeds, loss=loss, accuracy=accuracy),
    ]
    return lines, programs.end_epoch(state, jnp.asarray(accuracy, jnp.float32))


def _record(tools: Tools, lines: list[dict]) -> None:
    for line in lines:
        files.append_json_line(tools.folder / "metrics.jsonl", line)
        tools.board.write(line)


def _stop(state: TrainState, tools: Tools) -> None:
    tools.checkpoints.wait()
    step = int(state.step[0])
    tools.signals.raise_pending(f"saved step {step} in {tools.checkpoints.folder}; the same command goes on from there")
