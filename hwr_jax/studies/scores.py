"""What the record of a trial says of it: its curve, its scores, and what it gets wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwr_jax.core.types import Array, Dataset, Outputs
from hwr_jax.tasks import metrics


def rows_of_each(members: int) -> Iterator[slice]:
    """Yields the rows of each trial, one after the other, in arrays with a seed axis."""
    first = 0
    while True:
        yield slice(first, first + members)
        first += members


def curve(lines: list[dict[str, Any]], rows: slice) -> dict[str, list[float]]:
    """Returns the metrics of each epoch: means over a trial's members."""
    found: dict[str, list[float]] = {}
    for line in lines:
        for name in ("loss", "accuracy"):
            found.setdefault(f"{line['split']}_{name}", []).append(float(np.mean(line["per_seed"][name][rows])))
    return {"epoch": [line["epoch"] for line in lines if line["split"] == "train"], **found}


def scores(dataset: Dataset, outputs: dict[str, list[Outputs]], rows: slice) -> dict[str, Any]:
    """Returns the metrics of a trial, and what of the test set it gets wrong: the rows, and what it reads there."""
    found: dict[str, Any] = {}
    for split, each in outputs.items():
        label = np.asarray(getattr(dataset, split).label)
        one = each[rows][0] if rows.stop - rows.start == 1 else ensemble(each[rows], label)
        values = metrics.evaluate(label, one)
        found[split] = {name: values[name] for name in metrics.SCALARS if name in values}
        if split == "test":
            wrong = np.flatnonzero(~metrics.right(np.asarray(one.pred), label))
            found["test_errors"] = wrong.tolist()
            found["test_errors_read"] = np.asarray(one.pred)[wrong].tolist()
    return found


def ensemble(outputs: list[Outputs], label: Array) -> Outputs:
    """Returns the outcomes of several networks as one: the class of the highest mean probability (not of strings)."""
    prob = np.stack([np.asarray(o.prob, np.float64) for o in outputs]).mean(axis=0)
    pred, rows = prob.argmax(-1), np.arange(len(label))
    loss = -np.log(np.maximum(prob[rows, label], np.finfo(np.float32).tiny))
    return Outputs(loss, pred, prob, prob[rows, pred])
