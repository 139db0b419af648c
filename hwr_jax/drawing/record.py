"""What a finished run left, as the figures need it: curves, test outcomes, names. Loads neither data nor weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core import archives, files
from hwr_jax.core.errors import ConfigError, DataError, RunFolderError
from hwr_jax.tasks import metrics
from hwr_jax.workdir import run_folder

PREDICTIONS = ("label", "pred", "prob", "loss", "confidence", "seeds")
LIMIT = 4 * 2**30  # bytes of predictions.npz


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
      ConfigError: not a run folder, named twice, or tested on other data than the first.
      RunFolderError: it has not finished, or a file of it is damaged.
    """
    resolved = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, resolved, strict=True):
        if resolved.count(place) > 1:
            raise ConfigError(f"{folder} is named twice: name each run once, in --workdir or in --compare")
    names = [place.name for place in resolved]
    names = [f"{p.parent.name}/{p.name}" if names.count(p.name) > 1 else p.name for p in resolved]
    found = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    for other in found[1:]:
        if not np.array_equal(other.label, found[0].label) or other.classes != found[0].classes:
            raise ConfigError(
                f"--compare={other.folder} was tested on {other.facts['name']}, {found[0].folder} on "
                f"{found[0].facts['name']}, with other test images or classes: compare runs of one test set"
            )
    return found


def _read(folder: Path, name: str) -> Record:
    run_folder.read_config(folder)  # whose error names a folder that is no run
    facts = run_folder.read_environment(folder)["dataset"]
    path = folder / "predictions.npz"
    if not path.is_file():
        raise RunFolderError(f"{folder} has not finished: run its `python -m hwr_jax.main` command again to resume it")
    try:
        arrays = archives.arrays(path, PREDICTIONS, limit=LIMIT)
    except DataError as error:
        raise RunFolderError(str(error)) from None
    seeds, examples = arrays["seeds"].shape[0], arrays["label"].shape[0]
    if any(arrays[key].shape[:2] != (seeds, examples) for key in ("pred", "prob", "loss", "confidence")):
        raise RunFolderError(f"{path} is damaged: its arrays are of different numbers of seeds or examples")
    lines = files.read_json_lines(folder / "metrics.jsonl")
    outcomes = [arrays[key] for key in PREDICTIONS[:-1]]
    return Record(name, folder, lines, facts, *outcomes, seeds=arrays["seeds"].tolist())
