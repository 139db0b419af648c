"""Numbers that are NaN or infinite: found on the host between two dispatches, before anything is saved."""

from __future__ import annotations

import jax
import numpy as np

from hwr_jax.core.errors import NotFiniteError
from hwr_jax.core.types import TrainState
from hwr_jax.steps.run import Run


def magnitude(state: TrainState) -> np.ndarray:
    """The sum of the parameters' absolute values, float64 [S]: finite only if every one is."""
    leaves = [np.abs(np.asarray(p, np.float64)) for p in jax.tree.leaves(state.params)]
    return np.sum([p.reshape(len(p), -1).sum(1) for p in leaves], axis=0)


def check_loss(run: Run, loss: np.ndarray, step: int) -> None:
    """Raises NotFiniteError, before anything is saved, if the loss (or another number) [S] of a seed is not finite."""
    bad = ~np.isfinite(loss)
    if bad.any():
        raise NotFiniteError(
            f"the loss of seed {run.seeds[int(bad.argmax())]} is not finite at step {step}: lower "
            f"config.optim.learning_rate ({run.plan.learning_rate}) or set config.optim.clip_norm; checkpoints "
            "before it are kept",
            bad,
        )


def check_skipped(run: Run, state: TrainState, step: int) -> None:
    """Raises NotFiniteError if a seed has left out more updates in a row than config.nonfinite.limit."""
    if run.plan.nonfinite != "skip":
        return
    longest = np.asarray(state.faults.longest)
    bad = longest > run.plan.nonfinite_limit
    if bad.any():
        raise NotFiniteError(
            f"{longest.max()} updates in a row of seed {run.seeds[int(bad.argmax())]} before step {step} were not "
            f"finite and were left out, more than config.nonfinite.limit={run.plan.nonfinite_limit}: lower "
            f"config.optim.learning_rate ({run.plan.learning_rate}); checkpoints before it are kept",
            bad,
        )


def check_trained(run: Run, examples: np.ndarray, step: int) -> None:
    """Raises NotFiniteError if a seed [S] has left out every update of an epoch."""
    bad = examples == 0
    if bad.any():
        seed = run.seeds[int(bad.argmax())]
        raise NotFiniteError(f"every update of seed {seed} in the epoch up to step {step} was not finite", bad)
