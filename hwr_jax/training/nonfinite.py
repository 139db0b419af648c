"""Finds NaN and infinite numbers, on the host, between two dispatches and before anything is saved."""

from __future__ import annotations

import jax
import numpy as np

from hwr_jax.core.errors import NotFiniteError
from hwr_jax.core.types import TrainState
from hwr_jax.steps.run import Run


def magnitude(state: TrainState) -> np.ndarray:
    """Returns the sum of the parameters' absolute values, float64 [S]: finite only if every parameter is."""
    leaves = [np.abs(np.asarray(p, np.float64)) for p in jax.tree.leaves(state.params)]
    return np.sum([p.reshape(len(p), -1).sum(1) for p in leaves], axis=0)


def check_loss(run: Run, loss: np.ndarray, step: int) -> None:
    """Raises NotFiniteError if the loss (or another number) [S] of a seed is not finite."""
    bad = ~np.isfinite(loss)
    if bad.any():
        raise NotFiniteError(
            f"the loss of seed {run.seeds[int(bad.argmax())]} is not finite at step {step}: lower "
            f"config.optim.learning_rate ({run.plan.learning_rate}) or set config.optim.clip_norm; earlier "
            "checkpoints are kept",
            bad,
        )


def check_skipped(run: Run, state: TrainState, step: int) -> None:
    """Raises NotFiniteError if a seed has skipped more consecutive updates than config.nonfinite.limit allows."""
    if run.plan.nonfinite != "skip":
        return
    longest = np.asarray(state.faults.longest)
    bad = longest > run.plan.nonfinite_limit
    if bad.any():
        raise NotFiniteError(
            f"seed {run.seeds[int(bad.argmax())]} skipped {longest.max()} consecutive updates before step {step}, "
            f"which were not finite, more than config.nonfinite.limit={run.plan.nonfinite_limit}: lower "
            f"config.optim.learning_rate ({run.plan.learning_rate}); earlier checkpoints are kept",
            bad,
        )


def check_trained(run: Run, examples: np.ndarray, step: int) -> None:
    """Raises NotFiniteError if a seed [S] has skipped every update of an epoch."""
    bad = examples == 0
    if bad.any():
        seed = run.seeds[int(bad.argmax())]
        raise NotFiniteError(
            f"seed {seed} skipped every update of the epoch before step {step} because none was finite", bad
        )
