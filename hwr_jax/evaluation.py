"""Evaluation: outcomes per example of every seed, and the numbers computed from them. Writes predictions.npz."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax import files, metrics, stats
from hwr_jax.types import Arrays, Outputs, TrainState, Tree


def chosen(state: TrainState, which: str) -> tuple[Tree, Tree]:
    """Returns (params, model_state) of the 'last' state or of the 'best' on validation."""
    source = state if which == "last" else state.best
    return source.params, source.model_state


def on_host(outputs: Outputs) -> list[Outputs]:
    """Splits outputs with a seed axis [S, N, ...] into one of NumPy arrays per seed."""
    arrays = [np.asarray(x) for x in outputs]
    return [Outputs(*(x[s] for x in arrays)) for s in range(arrays[0].shape[0])]


def scores(arrays: Arrays, outputs: list[Outputs]) -> dict[str, Any]:
    """Returns the metrics of a split over the seeds: each scalar as `stats.summarise`, `per_class` as means over the
    seeds [K], `confusion` as sums over the seeds [K, K]."""
    label = np.asarray(arrays.label)
    each = [metrics.evaluate(label, one) for one in outputs]
    return {
        **{
            name: stats.summarise([m[name] for m in each], within=metrics.possible(name, len(label)))
            for name in metrics.SCALARS
        },
        "per_class": {
            name: np.mean([m["per_class"][name] for m in each], axis=0).tolist() for name in each[0]["per_class"]
        },
        "confusion": np.sum([m["confusion"] for m in each], axis=0).tolist(),
    }


def save_predictions(path: Path, arrays: Arrays, outputs: list[Outputs], seeds: list[int]) -> None:
    """Writes label [N], pred [S, N], prob [S, N, K], loss [S, N] and seeds [S], atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        label=np.asarray(arrays.label),
        seeds=np.asarray(seeds, np.int64),
        pred=np.stack([o.pred for o in outputs]),
        prob=np.stack([o.prob for o in outputs]),
        loss=np.stack([o.loss for o in outputs]),
    )
    files.write_atomic(path, buffer.getvalue())
