"""What a finished run left, as the figures need it: curves, test outcomes, names. Loads neither data nor weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.tasks import metrics
from hwr_jax.workdir import run_folder

OUTCOMES = ("label", "pred", "prob", "loss", "confidence", "seeds")


class Record(NamedTuple):
    """A run."""

    name: str  # different from that of every other run in the figure
    folder: Path
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
    """Reads runs that were trained to the end, on data sets with the same test set.

    Raises:
      ConfigError: not a run folder, not finished, named twice, or tested on other data than the first.
      RunFolderError: a file of it is damaged.
    """
    resolved = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, resolved, strict=True):
        if resolved.count(place) > 1:
            raise ConfigError(f"{folder} is named twice: name each run once, in --workdir or in --compare")
    names = [place.name for place in resolved]
    names = [f"{p.parent.name}/{p.name}" if names.count(p.name) > 1 else p.name for p in resolved]
    found = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    for other in found[1:]:
        if problem := _different(other, found[0]):
            raise ConfigError(
                f"--compare={other.folder} ({problem}) cannot be compared with {found[0].folder}: leave it out"
            )
    return found


def _different(record: Record, first: Record) -> str:
    """Returns why a run cannot share figures with the first; "": it can."""
    if problem := run_folder.other_data(record.facts, first.facts):
        return problem
    if record.classes != first.classes:
        return "other classes"
    return "" if np.array_equal(record.label, first.label) else "other test labels"


def _read(folder: Path, name: str) -> Record:
    run_folder.read_config(folder)  # whose error names a folder that is no run
    environment, path = run_folder.read_environment(folder), folder / run_folder.PREDICTIONS
    if "exported" in environment:
        raise ConfigError(f"{folder} is an export, without the results of its run: name the run folder")
    if not (folder / "summary.json").is_file():
        raise ConfigError(
            f"{folder} is not finished, it has no summary.json: run its `python -m hwr_jax.main` command again to "
            "resume it"
        )
    if not path.is_file():
        raise RunFolderError(f"{folder} has no {path.name}, of which figures are drawn")
    arrays = run_folder.read_predictions(folder, OUTCOMES)
    seeds, examples = arrays["seeds"].shape[0], arrays["label"].shape[0]
    if any(arrays[key].shape[:2] != (seeds, examples) for key in ("pred", "prob", "loss", "confidence")):
        raise RunFolderError(f"{path} is damaged: its arrays are of different numbers of seeds or examples")
    lines = files.read_json_lines(folder / "metrics.jsonl")
    outcomes = [arrays[key] for key in OUTCOMES[:-1]]
    return Record(name, folder, lines, environment["dataset"], *outcomes, seeds=arrays["seeds"].tolist())
