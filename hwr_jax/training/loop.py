"""The training loop: one for every model, data set and number of seeds or devices. Owns the order of an epoch and the
seconds inside the steps; the caller decides what is written, and where (`Tools`)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax.cli import console
from hwr_jax.core.errors import NotFiniteError
from hwr_jax.core.types import Arrays, NormTotals, TrainState
from hwr_jax.distributed import watchdog
from hwr_jax.distributed.signals import Signals
from hwr_jax.inference import evaluation
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.run import Run, on_device
from hwr_jax.steps.train_step import evaluated, stopped
from hwr_jax.tasks import metrics
from hwr_jax.training import feeding, nonfinite
from hwr_jax.workdir import logs
from hwr_jax.workdir.checkpoint import Checkpoints


class Unsaved:
    """Stands in for `workdir.checkpoint.Checkpoints` where nothing is saved."""

    def save(self, step: int, state: TrainState) -> None:
        """Starts saving a state as `step`."""

    def settle(self) -> None:
        """Completes a save that has finished writing; never waits."""

    def wait(self) -> None:
        """Waits until the last save is on disk."""


class Times(Protocol):
    """What the loop reports about time."""

    def trained(self, event: str, *, step: int, train_seconds: float, images: int, **values: Any) -> None:
        """Called after an epoch or a stop: `images` of all seeds took `train_seconds` inside the steps."""


def _no_checkpoint(scale: np.ndarray) -> TrainState:
    raise AssertionError("config.nonfinite.policy=rollback needs checkpoints to roll back to")


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the loop reports to. What has a default stays silent without it."""

    signals: Signals
    record: Callable[[dict[str, Any]], None]  # called with each line of metrics
    stopped: Callable[[int], str]  # step -> the message when a signal stops the loop after it
    timing: Times
    log: Callable[[str], None] = lambda line: None
    checkpoints: Checkpoints | Unsaved = field(default_factory=Unsaved)
    roll_back: Callable[[np.ndarray], TrainState] = _no_checkpoint  # scale [S] of the rates -> the last saved state
    rolled_back: int = 0  # how often already, before the run was resumed
    progress: Callable[[int, float], None] = lambda images, images_per_second: None  # called after each dispatch


def epochs(
    run: Run, programs: Programs, state: TrainState, tools: Tools, *, last_epoch: int | None = None
) -> TrainState:
    """Trains what is left of a run, or up to `last_epoch`. With config.nonfinite.policy=rollback, numbers that are not
    finite send it back to the last checkpoint.

    Raises:
      Stopped: a signal came; the state is saved.
      NotFiniteError: the loss or a gradient became NaN or infinite, and the policy says halt, or its limit is reached.
      Exception: whatever the tools raise.
    """
    policy, limit = run.plan.nonfinite, run.plan.nonfinite_limit
    scale = np.asarray(state.faults.scale)
    for rollback in itertools.count(tools.rolled_back + 1):
        try:
            return _epochs(run, programs, state, tools, last_epoch or run.plan.epochs)
        except NotFiniteError as error:
            if policy != "rollback" or rollback > limit:
                raise
            scale = np.where(error.bad, scale / 2, scale).astype(np.float32)
            tools.log(f"{error}\nrollback {rollback} of {limit}, with half the learning rate for the seeds concerned")
            state = tools.roll_back(scale)
    raise AssertionError("unreachable")


def _epochs(run: Run, programs: Programs, state: TrainState, tools: Tools, last_epoch: int) -> TrainState:
    """Trains the epochs that are left, up to `last_epoch`, one by one."""
    plan, steps_per_epoch = run.plan, run.recipe.steps_per_epoch
    step = int(state.step[0])
    if step == run.total_steps:
        return state
    validation, start_epoch = on_device(run, run.dataset.validation), feeding.make(run, programs)
    rate = jax.jit(run.recipe.schedule)  # as one program: its operations, one by one, take half a second to compile
    tools.log(console.HEADER)
    for epoch in range(step // steps_per_epoch, last_epoch):
        active = int(np.sum(~np.asarray(stopped(run.recipe, state))))
        if not active:
            tools.log(f"stopped: no seed has improved on validation for {plan.patience_epochs} epochs")
            break
        start, first_step = time.perf_counter(), step
        train = start_epoch(programs.order(*run.order_arguments(epoch)), step % steps_per_epoch)
        state, train_seconds = _one_epoch(run, state, train, tools, active)
        step = int(state.step[0])
        (train_line, validation_line), state = _close_epoch(run, programs, state, validation, rate, epoch + 1)
        nonfinite.check_loss(run, np.asarray(validation_line["per_seed"]["loss"]), step)
        tools.record(train_line)
        tools.record(validation_line)
        last = epoch + 1 == last_epoch or bool(np.all(stopped(run.recipe, state)))
        if last or (epoch + 1) % plan.every_epochs == 0 or tools.signals.pending:
            tools.checkpoints.save(step, state)
        images = (step - first_step) * plan.batch_size * active
        tools.timing.trained("epoch", epoch=epoch + 1, step=step, train_seconds=train_seconds, images=images)
        wall = time.perf_counter() - start
        tools.log(console.epoch_row(epoch + 1, plan.epochs, train_line, validation_line, images / train_seconds, wall))
        if tools.signals.pending:
            _stop(state, tools)
    tools.checkpoints.wait()
    return state


def _one_epoch(
    run: Run, state: TrainState, train: feeding.Train, tools: Tools, active: int
) -> tuple[TrainState, float]:
    """Trains the rest of an epoch, dispatch by dispatch; returns the state and the seconds inside the steps.

    `active`: how many seeds have not stopped early.
    """
    plan, steps_per_epoch = run.plan, run.recipe.steps_per_epoch
    first_step = step = int(state.step[0])
    end = step + steps_per_epoch - step % steps_per_epoch
    total_seconds = 0.0
    tools.signals.deferred = True
    while step < end:
        count = min(plan.steps_per_dispatch, end - step)
        start = time.perf_counter()
        state = train(state, count)
        loss = np.asarray(state.totals.loss)  # waits for the steps
        watchdog.alive()
        seconds = time.perf_counter() - start
        total_seconds += seconds
        step += count
        nonfinite.check_loss(run, loss, step)
        nonfinite.check_skipped(run, state, step)
        images = count * plan.batch_size * len(run.seeds)
        tools.progress(images, images / seconds)
        tools.checkpoints.settle()
        if step < end and tools.signals.pending:
            images = (step - first_step) * plan.batch_size * active
            nonfinite.check_loss(run, nonfinite.magnitude(state), step)
            tools.checkpoints.save(step, state)
            tools.timing.trained("stopped", step=step, train_seconds=total_seconds, images=images)
            _stop(state, tools)
    return state, total_seconds


def _close_epoch(
    run: Run, programs: Programs, state: TrainState, validation: Arrays, rate: Callable[[int], Any], epoch: int
) -> tuple[tuple[dict, dict], TrainState]:
    """Evaluates on validation; returns the epoch's lines of metrics (training, validation), and the state with its best
    weights updated and its totals cleared."""
    step, totals = int(state.step[0]), jax.tree.map(np.asarray, state.totals)
    nonfinite.check_trained(run, totals.examples, step)
    outputs = evaluation.on_host(programs.predict(*evaluated(state), validation))
    label = np.asarray(run.dataset.validation.label)
    accuracy = np.array([np.mean(metrics.right(o.pred, label)) for o in outputs])
    loss = np.array([np.mean(o.loss, dtype=np.float64) for o in outputs])
    training = {
        "loss": totals.loss / totals.examples,
        "accuracy": totals.hits / totals.examples,
        "learning_rate": np.full(len(run.seeds), rate(step - 1)) * np.asarray(state.faults.scale),
    }
    if isinstance(totals, NormTotals):
        training["gradient_norm"] = totals.norm * run.recipe.batch_size / totals.examples  # the mean over the steps
    lines = (
        logs.metrics_line(epoch, step, "train", run.seeds, **training),
        logs.metrics_line(epoch, step, "validation", run.seeds, loss=loss, accuracy=accuracy),
    )
    return lines, programs.end_epoch(state, jnp.asarray(accuracy, jnp.float32))


def _stop(state: TrainState, tools: Tools) -> None:
    tools.checkpoints.wait()
    tools.signals.raise_pending(tools.stopped(int(state.step[0])))
