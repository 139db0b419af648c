"""Finished runs as the records of a study, and what a reader of their comparison needs to know. Reads no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwr_jax.config.flat import flatten
from hwr_jax.core.errors import ConfigError
from hwr_jax.studies.metric import Metric
from hwr_jax.tasks import metrics
from hwr_jax.workdir import finished, run_folder
from hwr_jax.workdir.finished import FinishedRun

APART = (*finished.SEEDS, "data.manual_dir")  # keys of the config that are no difference: the seeds have a column


def read(names: Sequence[str], metric: Metric) -> list[FinishedRun]:
    """Returns the runs in the folders of these names, in their order. A folder of run folders that differ in nothing
    but their seeds is one run.

    Raises:
      ConfigError: a folder is named twice, is not a finished run, or cannot be compared with the first: the sentence
        names each of them, and why.
      RunFolderError: a file of a run is damaged.
    """
    found = finished.read(names, ("label", "pred", "seeds"), how="compared")
    first = found[0]
    if metric.name not in first.summary["test"]:
        known = ", ".join(name for name in metrics.SCALARS if name in first.summary["test"])
        raise ConfigError(f"--metric={metric.name} is not known of {first.name}: it has {known}")
    return found


def records(run: FinishedRun) -> list[dict[str, Any]]:
    """Returns the run as the records of a study: one for each seed, with what `comparison` and `by_image` need."""
    of_data = run.facts
    found = []
    for i, seed in enumerate(run.summary["seeds"]):
        record = {
            "seed": seed,
            "dataset": {"name": of_data["name"], "sha256": of_data["sha256"], "examples": of_data["examples"]},
            "test_sha256": of_data["sha256"],
            **{split: _of_seed(run.summary[split], i) for split in ("validation", "test")},
        }
        if run.outcomes:
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
    said = [
        f"{run.name} is {len(run.environments)} runs of different seeds as one: its seconds are their sum."
        for run in found
        if len(run.environments) > 1
    ]
    environments = [one for run in found for one in run.environments]
    codes = {code["sha256"] for one in environments for code in run_folder.codes(one)}
    if len(codes) > 1:
        said.append(f"The runs were trained by {len(codes)} versions of the code.")
    devices = {tuple(one.get("devices", ())) for one in environments}
    if len(devices) > 1:
        said.append("The runs were trained on several kinds of devices: compare no seconds.")
    if without := [run.name for run in found if not run.outcomes]:
        said.append(f"Without {run_folder.PREDICTIONS} nothing is compared image by image: {', '.join(without)}.")
    return said
