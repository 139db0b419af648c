"""Finished runs as the records of a study: read from their folders, and refused where they cannot be compared.

Trains and evaluates nothing: all numbers are those that the runs left.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from hwr_jax.config.flat import flatten
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.studies import results
from hwr_jax.studies.metric import Metric
from hwr_jax.tasks import metrics
from hwr_jax.workdir import forms, run_folder

APART = ("seed", "seeds", "data.manual_dir")  # keys of the config that are no difference: the seeds have a column


class FinishedRun(NamedTuple):
    """What a run folder holds of a finished run."""

    name: str  # as the user wrote it
    config: ConfigDict
    environment: dict[str, Any]
    summary: dict[str, Any]
    outcomes: dict[str, np.ndarray] | None  # label [N], pred [S, N], seeds [S]; None: the folder does not have them

    @property
    def network(self) -> str:
        """The name of its network."""
        return self.config.model.name


def read(names: Sequence[str], metric: Metric) -> list[FinishedRun]:
    """Returns the runs in the folders of these names, in their order.

    Raises:
      ConfigError: a folder is named twice, is not a finished run, or cannot be compared with the first: the sentence
        names each of them, and why.
      RunFolderError: a file of a run is damaged.
    """
    folders = [Path(name).expanduser() for name in names]
    places = [folder.resolve() for folder in folders]
    if twice := [name for i, name in enumerate(names) if places[i] in places[:i]]:
        raise ConfigError(f"{twice[0]} is named twice: name each run once")
    _refuse({name: _unfinished(folder) for name, folder in zip(names, folders, strict=True)}, "cannot be compared")
    found = [_read(name, folder) for name, folder in zip(names, folders, strict=True)]
    first, *others = found
    _refuse({run.name: _different(run, first) for run in others}, f"cannot be compared with {first.name}")
    if metric.name not in first.summary["test"]:
        known = ", ".join(name for name in metrics.SCALARS if name in first.summary["test"])
        raise ConfigError(f"--metric={metric.name} is not known of {first.name}: it has {known}")
    return found


def _refuse(problems: dict[str, str], what: str) -> None:
    """Raises ConfigError if there are problems ("": none), with all of them in one sentence."""
    if wrong := [f"{name} ({problem})" for name, problem in problems.items() if problem]:
        raise ConfigError(f"{', '.join(wrong)} {what}: leave {'it' if len(wrong) == 1 else 'them'} out")


def _unfinished(folder: Path) -> str:
    """Returns why a folder is not that of a finished run; "": it is."""
    if not folder.is_dir():
        return "it is a file" if folder.exists() else "it does not exist"
    if not (folder / "config.json").is_file():
        is_study = (folder / results.FILE).is_file()
        return (
            "it is a study, which report.md compares" if is_study else "it is not a run folder: it has no config.json"
        )
    if (folder / "summary.json").is_file():
        return ""
    is_export = (folder / "environment.json").is_file() and "exported" in run_folder.read_environment(folder)
    return "it is an export, which has no results" if is_export else "it is not finished: it has no summary.json"


def _read(name: str, folder: Path) -> FinishedRun:
    summary, outcomes = run_folder.read_summary(folder), None
    forms.check(summary, forms.COMPARED, folder / "summary.json")
    seeds = len(summary["seeds"])
    for split in ("validation", "test"):
        if any(len(summary[split][name]["per_seed"]) != seeds for name in metrics.SCALARS if name in summary[split]):
            raise RunFolderError(
                f"{folder / 'summary.json'} is damaged: its {split} has not {seeds} values, one a seed"
            )
    if (folder / run_folder.PREDICTIONS).exists():
        outcomes = run_folder.read_predictions(folder, ("label", "pred", "seeds"))
        label, pred, seeds = outcomes["label"], outcomes["pred"], outcomes["seeds"]
        tested = summary["examples"]["test"]
        if len(label) != tested or pred.shape[:2] != (len(seeds), tested) or seeds.tolist() != summary["seeds"]:
            path = folder / run_folder.PREDICTIONS
            raise RunFolderError(f"{path} does not belong to summary.json: other seeds or images")
    return FinishedRun(name, run_folder.read_config(folder), run_folder.read_environment(folder), summary, outcomes)


def _different(run: FinishedRun, first: FinishedRun) -> str:
    """Returns why a run cannot be compared with the first; "": it can."""
    own, other = run.environment["dataset"], first.environment["dataset"]
    if problem := run_folder.other_data(own, other):
        return problem
    for split in ("validation", "test"):
        if own["examples"][split] != other["examples"][split]:
            sizes = f"{own['examples'][split]:,} images, not {other['examples'][split]:,}"
            return f"another {split} split: {sizes}"
    if run.outcomes is None or first.outcomes is None:
        return ""
    same = np.array_equal(_called(run.outcomes, own["classes"]), _called(first.outcomes, other["classes"]))
    return "" if same else "other test labels"


def _called(outcomes: dict[str, np.ndarray], classes: list[str]) -> np.ndarray:
    """What the test images are called, wherever among a model's classes that is: text [N] or, of strings, [N, L]."""
    return np.array([*classes, ""])[outcomes["label"]]  # a label of -1 fills up a string


def records(run: FinishedRun) -> list[dict[str, Any]]:
    """Returns the run as the records of a study: one for each seed, with what `comparison` and `by_image` need."""
    of_data = run.environment["dataset"]
    found = []
    for i, seed in enumerate(run.summary["seeds"]):
        record = {
            "seed": seed,
            "dataset": {"name": of_data["name"], "sha256": of_data["sha256"], "examples": of_data["examples"]},
            "test_sha256": of_data["sha256"],
            **{split: _of_seed(run.summary[split], i) for split in ("validation", "test")},
        }
        if run.outcomes is not None:
            right = metrics.right(run.outcomes["pred"][i], run.outcomes["label"])
            record["test_errors"] = np.flatnonzero(~right).tolist()
        found.append(record)
    return found


def _of_seed(scores: dict[str, Any], index: int) -> dict[str, float]:
    return {name: scores[name]["per_seed"][index] for name in metrics.SCALARS if name in scores}


def config_differences(found: Sequence[FinishedRun]) -> dict[str, list[Any]]:
    """Returns the config keys in which runs differ, each with the value of every run; not the seeds, which are no part
    of what is compared, nor the place of the data."""
    flat = [flatten(run.config) for run in found]
    keys = [key for key in dict.fromkeys(key for one in flat for key in one) if key not in APART]
    values = {key: [one.get(key) for one in flat] for key in keys}
    return {key: each for key, each in values.items() if any(value != each[0] for value in each)}


def notes(found: Sequence[FinishedRun]) -> list[str]:
    """Returns what a reader needs to know before quoting a number, a sentence each."""
    said = []
    codes = {code["sha256"] for run in found for code in run_folder.codes(run.environment)}
    if len(codes) > 1:
        said.append(f"The runs were trained by {len(codes)} versions of the code.")
    devices = {tuple(run.environment.get("devices", ())) for run in found}
    if len(devices) > 1:
        said.append("The runs were trained on several kinds of devices: compare no seconds.")
    if without := [run.name for run in found if run.outcomes is None]:
        said.append(f"Without {run_folder.PREDICTIONS} nothing is compared image by image: {', '.join(without)}.")
    return said
