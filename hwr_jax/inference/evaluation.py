"""Evaluation: the outcome of every example and seed, and the numbers computed from them. Writes predictions.npz."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import files, stats
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Outputs, TrainState, Tree
from hwr_jax.steps import train_step
from hwr_jax.tasks import metrics
from hwr_jax.tasks import selective as of_confidence

ACCURACIES = (0.995, 0.999)  # of what is accepted


def chosen(state: TrainState, which: str) -> tuple[Tree, Tree]:
    """Returns (params, model_state) of the 'last' step (averages, if kept) or of the 'best' one on validation.

    Raises:
      ConfigError: the best one is asked for before the first validation.
    """
    if which == "last":
        return train_step.evaluated(state)
    if np.any(np.asarray(state.best.accuracy) < 0):  # as `init_state` leaves it; its weights are zeros
        raise ConfigError("no epoch has been validated yet: use --checkpoint=last")
    return state.best.params, state.best.model_state


def on_host(outputs: Outputs) -> list[Outputs]:
    """Splits outputs with a seed axis [S, N, ...] into one of NumPy arrays per seed."""
    arrays = [np.asarray(x) for x in outputs]
    return [Outputs(*(x[s] for x in arrays)) for s in range(arrays[0].shape[0])]


def scores(arrays: Arrays, outputs: list[Outputs]) -> dict[str, Any]:
    """Returns the metrics of a split (see `metrics.evaluate`) over the seeds: each scalar as `stats.summarise` gives
    it, `per_class` and `per_length` as means, `confusion` [K, K] as a sum."""
    label = np.asarray(arrays.label)
    each = [metrics.evaluate(label, of_seed) for of_seed in outputs]
    return {
        **{
            name: stats.summarise([m[name] for m in each], within=metrics.possible(name, len(label)))
            for name in metrics.SCALARS
            if name in each[0]
        },
        **{detail: _over_seeds(detail, [m[detail] for m in each]) for detail in metrics.DETAILS if detail in each[0]},
    }


def _over_seeds(detail: str, each: list[Any]) -> Any:
    if detail == "confusion":
        return np.sum(each, axis=0).tolist()
    return {name: np.mean([of_seed[name] for of_seed in each], axis=0).tolist() for name in each[0]}


def ensemble(arrays: Arrays, outputs: list[Outputs]) -> dict[str, float] | None:
    """Returns the accuracy of all seeds (two or more) together, or None for a single seed.

    `mean_probability`: the class of the highest mean probability (not for strings: the seeds' time steps do not match).
    `majority`: the class or string that most seeds name; in a tie, the class of the higher mean probability, or the
    string that a seed is surest of.
    """
    if len(outputs) < 2:
        return None
    label = np.asarray(arrays.label)
    if label.ndim == 2:
        return {"majority": float(np.mean(metrics.right(_majority(outputs), label)))}
    prob = np.mean([o.prob for o in outputs], axis=0, dtype=np.float64)
    votes = np.sum([np.eye(prob.shape[1])[o.pred] for o in outputs], axis=0)
    return {
        "mean_probability": float(np.mean(prob.argmax(-1) == label)),
        "majority": float(np.mean((votes + prob / 2).argmax(-1) == label)),  # prob / 2 < 1: it only breaks ties
    }


def selective(arrays: Arrays, outputs: list[Outputs]) -> dict[str, Any]:
    """Returns what a reader gains that rejects what it is unsure of, as means over the seeds: `aurc`, and under
    `rejected` for some accuracies the share to reject and the least confidence to accept (None: none is enough)."""
    label = np.asarray(arrays.label)
    outcomes = [(np.asarray(o.confidence), metrics.right(np.asarray(o.pred), label)) for o in outputs]
    rejected = {}
    for accuracy in ACCURACIES:
        shares, levels = zip(*(of_confidence.rejected_at(*outcome, accuracy) for outcome in outcomes), strict=True)
        level = float(np.mean(levels))
        rejected[str(accuracy)] = {"share": float(np.mean(shares)), "from": level if np.isfinite(level) else None}
    return {"aurc": float(np.mean([of_confidence.aurc(*outcome) for outcome in outcomes])), "rejected": rejected}


def _majority(outputs: list[Outputs]) -> np.ndarray:
    """The string of each example int32 [N, T] that most seeds read."""
    pred = np.stack([o.pred for o in outputs])
    votes = (pred[:, None] == pred[None]).all(-1).sum(1)  # [S, N], for the string that each seed read
    best = np.argmax(votes + np.stack([o.confidence for o in outputs]) / 2, axis=0)
    return pred[best, np.arange(pred.shape[1])]


def save_predictions(path: Path, arrays: Arrays, outputs: list[Outputs], seeds: list[int]) -> None:
    """Writes label [N], pred [S, N], prob [S, N, K], loss and confidence [S, N] and seeds [S], atomically. For strings,
    S is followed by the shapes of `Arrays` and `Outputs`."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        label=np.asarray(arrays.label),
        seeds=np.asarray(seeds, np.int64),
        pred=np.stack([o.pred for o in outputs]),
        prob=np.stack([o.prob for o in outputs]),
        loss=np.stack([o.loss for o in outputs]),
        confidence=np.stack([o.confidence for o in outputs]),
    )
    files.write_atomic(path, buffer.getvalue())
