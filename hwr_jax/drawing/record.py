"""What a finished run left, as the figures need it: curves, test outcomes, names. Loads neither data nor weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.tasks import metrics
from hwr_jax.workdir import finished, run_folder
from hwr_jax.workdir.finished import FinishedRun

OUTCOMES = ("label", "pred", "prob", "loss", "confidence", "seeds")


class Record(NamedTuple):
    """A run."""

    name: str  # different from that of every other run in the figure
    folders: dict[int, Path]  # seed -> the run folder that has its network
    lines: list[dict[str, Any]]  # of metrics.jsonl
    facts: dict[str, Any]  # about its data, from environment.json
    label: np.ndarray  # int32 [N] of the test set (strings: [N, L])
    pred: np.ndarray  # int32 [S, N] (strings: [S, N, T])
    prob: np.ndarray  # float32 [S, N, K] (strings: [S, N, T, K + 1])
    loss: np.ndarray  # float32 [S, N]
    confidence: np.ndarray  # float32 [S, N]
    seeds: list[int]

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return tuple(self.facts["classes"])

    @property
    def reads_strings(self) -> bool:
        """Whether the labels are strings."""
        return self.label.ndim == 2

    @property
    def correct(self) -> np.ndarray:
        """Which predictions are right, bool [S, N]."""
        return np.stack([metrics.right(pred, self.label) for pred in self.pred])


def read(folders: Sequence[Path]) -> list[Record]:
    """Reads runs that were trained to the end, on data sets with the same test set. A folder of run folders that differ
    in nothing but their seeds is one run.

    Raises:
      ConfigError: not a run folder, not finished, named twice, or tested on other data than the first.
      RunFolderError: a file of it is damaged.
    """
    found = finished.read(folders, OUTCOMES, how="drawn")
    places = [folder.resolve() for folder in folders]
    alone = [place.name for place in places]
    names = [f"{p.parent.name}/{p.name}" if alone.count(p.name) > 1 else p.name for p in places]
    for run in found:
        if not run.outcomes:
            raise RunFolderError(f"{run.name} has no {run_folder.PREDICTIONS}, of which figures are drawn")
        if run.facts["classes"] != found[0].facts["classes"]:
            raise ConfigError(f"{run.name} (other classes) cannot be drawn with {found[0].name}: leave it out")
    return [_record(run, name) for run, name in zip(found, names, strict=True)]


def _record(run: FinishedRun, name: str) -> Record:
    outcomes = [run.outcomes[key] for key in OUTCOMES[:-1]]
    return Record(name, run.folders, _lines(run), run.facts, *outcomes, seeds=list(run.folders))


def _lines(run: FinishedRun) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl with the values of all seeds, for the epochs that all folders of the run have."""
    each = [
        {(line["epoch"], line["split"]): line for line in files.read_json_lines(folder / "metrics.jsonl")}
        for folder in dict.fromkeys(run.folders.values())
    ]
    common = [key for key in each[0] if all(key in lines for lines in each)]
    values = {key: [lines[key]["per_seed"] for lines in each] for key in common}
    return [
        {**each[0][key], "per_seed": {name: list(chain(*(v[name] for v in values[key]))) for name in values[key][0]}}
        for key in common
    ]
