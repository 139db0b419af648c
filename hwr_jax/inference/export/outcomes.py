"""What an exported model does with each class of the test set: of its own seeds alone, from predictions.npz of the run.

summary.json has the means over all seeds of the run, which are neither one of them nor their mean probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwr_jax.core.errors import RunFolderError
from hwr_jax.inference.export.source import Source
from hwr_jax.tasks import metrics
from hwr_jax.workdir import run_folder


def of_model(source: Source) -> dict[str, Any] | None:
    """Returns `classes` with `per_class` and `confusion`, or for strings `per_length`, as summary.json of a run with
    one seed has them; of several seeds those of their mean probability. None: predictions.npz does not give them."""
    summary = source.summary
    if summary is None or not (source.folder / run_folder.PREDICTIONS).is_file():
        return None
    several = len(source.model.seeds) > 1
    try:
        arrays = run_folder.read_predictions(source.folder, ("label", "seeds", "prob" if several else "pred"))
    except RunFolderError:
        return None
    label, known = arrays["label"], arrays["seeds"].tolist()
    if known != summary["seeds"] or len(label) != summary["examples"]["test"]:  # of another run
        return None
    rows = [known.index(seed) for seed in source.model.seeds]
    pred = np.mean(arrays["prob"][rows], axis=0, dtype=np.float64).argmax(-1) if several else arrays["pred"][rows[0]]
    if label.ndim == 2:
        return {"per_length": metrics.per_length(label, metrics.right(pred, label))}
    confusion = metrics.confusion_matrix(label, pred, len(summary["classes"]))
    each = {name: values.tolist() for name, values in metrics.per_class(confusion).items()}
    return {"classes": summary["classes"], "per_class": each, "confusion": confusion.tolist()}
