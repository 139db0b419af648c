"""What the record of a trial holds: config, data, code and devices; its curve, its scores and its errors."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from hwr_jax.core import digests
from hwr_jax.core.types import Array, Dataset, Outputs, Tree
from hwr_jax.steps.run import Run
from hwr_jax.tasks import metrics
from hwr_jax.workdir import run_folder


def facts(run: Run, env: dict[str, Any], params: Tree) -> dict[str, Any]:
    """Returns what all records of a compiled config have in common.

    Args:
      run: on its devices.
      env: of its environment.json.
      params: of all its seeds, each leaf [S, ...]; shapes are enough.
    """
    common = {
        "dataset": {key: env["dataset"][key] for key in ("name", "sha256", "examples")},
        "test_sha256": digests.of_tree(run.dataset.test),
        "code": env["code"],
        "versions": {name: env["versions"][name] for name in ("jax", "jaxlib", "flax", "optax")},
        "devices": env["devices"],
        "over_seeds": run.how,
        "parameters": sum(int(np.prod(p.shape[1:])) for p in jax.tree.leaves(params)),
    }
    if "init_from" in env:
        common["init_from"] = env["init_from"]
    return common


def head(config: ConfigDict, seed: int, common: dict[str, Any]) -> dict[str, Any]:
    """Returns what every record begins with, of a diverged trial too; `common` is from `facts`."""
    return {"seed": seed, "config_sha256": run_folder.config_digest(config), **common}


def curve(lines: list[dict[str, Any]], rows: slice) -> dict[str, list[float]]:
    """Returns the metrics of each epoch, averaged over a trial's members.

    Args:
      lines: as in metrics.jsonl, of a block of trials.
      rows: of the trial's members on the seed axis.
    """
    found: dict[str, list[float]] = {}
    for line in lines:
        for name in ("loss", "accuracy"):
            found.setdefault(f"{line['split']}_{name}", []).append(float(np.mean(line["per_seed"][name][rows])))
    return {"epoch": [line["epoch"] for line in lines if line["split"] == "train"], **found}


def scores(dataset: Dataset, outputs: dict[str, list[Outputs]], rows: slice) -> dict[str, Any]:
    """Returns the metrics of a trial, and its errors on the test set: the rows, and what it reads there.

    Args:
      outputs: split -> the outcomes of each seed of a block of trials.
      rows: of the trial's members on the seed axis; of several the ensemble is scored.
    """
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
    """Returns the outcomes of several networks on N images as one: the class with the highest mean probability; label
    [N]. Not for strings."""
    prob = np.stack([np.asarray(o.prob, np.float64) for o in outputs]).mean(axis=0)
    pred, rows = prob.argmax(-1), np.arange(len(label))
    loss = -np.log(np.maximum(prob[rows, label], np.finfo(np.float32).tiny))
    return Outputs(loss, pred, prob, prob[rows, pred])
