"""Finished runs as their folders hold them: read, checked, and refused by name where they cannot be seen together.

A folder of run folders is one run if these differ in nothing but their seeds, as the tasks of a Slurm array do. Trains
and evaluates nothing: all numbers are those that the runs left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from hwr_jax.config.configs import difference
from hwr_jax.core import stats
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.tasks import metrics
from hwr_jax.workdir import forms, run_folder

SPLITS = ("validation", "test")
SEEDS = ("seed", "seeds")  # the keys of the config in which the parts of one run may differ


class FinishedRun(NamedTuple):
    """What a finished run left."""

    name: str  # as the user wrote it
    folders: dict[int, Path]  # seed -> the run folder that it was trained in
    config: ConfigDict  # of the first folder
    environments: list[dict[str, Any]]  # one for each folder
    summary: dict[str, Any]
    outcomes: dict[str, np.ndarray]  # the arrays that were asked for; none where a folder does not have them

    @property
    def facts(self) -> dict[str, Any]:
        """About its data, from environment.json."""
        return self.environments[0]["dataset"]


def read(names: Sequence[str | Path], arrays: Sequence[str], *, how: str) -> list[FinishedRun]:
    """Returns the runs in the folders of these names, in their order.

    Args:
      names: run folders, or folders of run folders that are one run.
      arrays: of predictions.npz; label, pred and seeds must be among them.
      how: "compared" or "drawn", for the sentences of the errors.

    Raises:
      ConfigError: a folder is named twice, holds no finished run, or cannot be seen beside the first: the sentence
        names each of them, and why.
      RunFolderError: a file of a run is damaged.
    """
    parts = [_parts(Path(name).expanduser()) for name in names]
    shown = [[str(f) for f in each] if len(each) > 1 else [str(n)] for n, each in zip(names, parts, strict=True)]
    every = list(zip(chain(*shown), chain(*parts), strict=True))
    places = [folder.resolve() for _, folder in every]
    if twice := [name for i, (name, _) in enumerate(every) if places[i] in places[:i]]:
        raise ConfigError(f"{twice[0]} is named twice: name each run once")
    _refuse({name: _unfinished(folder) for name, folder in every}, f"cannot be {how}", of=len(every))
    found = [_one_run(str(name), [_read(f, arrays) for f in each]) for name, each in zip(names, parts, strict=True)]
    first, *others = found
    _refuse({run.name: _different(run, first) for run in others}, f"cannot be {how} with {first.name}", of=len(found))
    return found


def _refuse(problems: dict[str, str], what: str, *, of: int) -> None:
    """Raises ConfigError if there are problems ("": none), with all of them in one sentence; `of`: how many runs
    there are."""
    if wrong := [f"{name} ({problem})" for name, problem in problems.items() if problem]:
        advice = f"leave {'it' if len(wrong) == 1 else 'them'} out" if len(wrong) < of else "name a finished run"
        raise ConfigError(f"{', '.join(wrong)} {what}: {advice}")


def _parts(folder: Path) -> list[Path]:
    """The run folders in a folder that is none itself, as an array of jobs leaves them; else the folder alone."""
    if (folder / "config.json").is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/config.json")) or [folder]


def _unfinished(folder: Path) -> str:
    """Returns why a folder is not that of a finished run; "": it is."""
    if not folder.is_dir():
        return "it is a file" if folder.exists() else "it does not exist"
    if not (folder / "config.json").is_file():
        is_study = (folder / "results.jsonl").is_file()
        return (
            "it is a study, which report.md compares" if is_study else "it is not a run folder: it has no config.json"
        )
    if (folder / "summary.json").is_file():
        return ""
    is_export = (folder / "environment.json").is_file() and "exported" in run_folder.read_environment(folder)
    return "it is an export, which has no results" if is_export else "it is not finished: its command resumes it"


def _read(folder: Path, arrays: Sequence[str]) -> FinishedRun:
    summary, path = run_folder.read_summary(folder), folder / run_folder.PREDICTIONS
    forms.check(summary, forms.COMPARED, folder / "summary.json")
    seeds, tested = summary["seeds"], summary["examples"]["test"]
    for split in SPLITS:
        each = [summary[split][name]["per_seed"] for name in metrics.SCALARS if name in summary[split]]
        if any(len(values) != len(seeds) for values in each):
            raise RunFolderError(
                f"{folder / 'summary.json'} is damaged: its {split} does not have {len(seeds)} values, one per seed"
            )
    outcomes = run_folder.read_predictions(folder, arrays) if path.exists() else {}
    if outcomes:
        of_seeds = [array for name, array in outcomes.items() if name not in ("label", "seeds")]
        if outcomes["seeds"].tolist() != seeds or len(outcomes["label"]) != tested:
            raise RunFolderError(f"{path} does not belong to summary.json: other seeds or images")
        if any(array.shape[:2] != (len(seeds), tested) for array in of_seeds):
            raise RunFolderError(f"{path} is damaged: its arrays are of different numbers of seeds or images")
    environment = run_folder.read_environment(folder)
    of_seed = dict.fromkeys(seeds, folder)
    return FinishedRun(str(folder), of_seed, run_folder.read_config(folder), [environment], summary, outcomes)


def _one_run(name: str, parts: list[FinishedRun]) -> FinishedRun:
    """Returns the parts as one run of all their seeds. Raises ConfigError if they differ in more than the seeds."""
    if len(parts) == 1:
        return parts[0]._replace(name=name)
    first, *others = parts = sorted(parts, key=lambda part: part.summary["seeds"])
    taken = dict(first.folders)
    for part in others:
        problem = _other_run(part, first) or _different(part, first)
        if twice := [seed for seed in part.folders if seed in taken]:
            problem = problem or f"its seed {twice[0]} is in {taken[twice[0]]} too"
        if problem:
            raise ConfigError(
                f"{name} is not one run: {part.name} is not {first.name} with other seeds ({problem}); name the runs "
                "in it one by one"
            )
        taken |= part.folders
    outcomes = {}
    if all(part.outcomes for part in parts):
        each = {key: [part.outcomes[key] for part in parts] for key in first.outcomes}
        outcomes = {key: values[0] if key == "label" else np.concatenate(values) for key, values in each.items()}
    environments = [part.environments[0] for part in parts]
    return FinishedRun(name, taken, first.config, environments, _of_all([part.summary for part in parts]), outcomes)


def _other_run(part: FinishedRun, first: FinishedRun) -> str:
    """Returns in what two runs differ beside their seeds, by all that decides what they compute; "": in nothing."""
    own, other = (_identity(run) for run in (part, first))
    return "; ".join(difference(other, own))


def _identity(run: FinishedRun) -> dict[str, Any]:
    (environment,) = run.environments
    config = run_folder.read_identity(next(iter(run.folders.values())))["config"]
    return {
        "config": {key: value for key, value in config.items() if key not in SEEDS},
        "dataset": environment["dataset"],
        "code": [code["sha256"] for code in run_folder.codes(environment)],
        "init_from": environment.get("init_from", {}).get("sha256"),
    }


def _of_all(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what `forms.SUMMARY` and `forms.COMPARED` need of the parts of a run, as one run would have it; seconds
    are added up."""
    first, seconds = summaries[0], sum(summary["train_seconds"] for summary in summaries)
    images = sum(summary["images_per_second"] * summary["train_seconds"] for summary in summaries)
    found = {key: first[key] for key in ("dataset", "examples", "parameters")}
    for split in SPLITS:
        tested = first["examples"].get(split, first["examples"]["test"])
        found[split] = {
            name: stats.summarise(
                [value for summary in summaries for value in summary[split][name]["per_seed"]],
                within=metrics.possible(name, tested),
            )
            for name in metrics.SCALARS
            if name in first[split]
        }
    seeds = [seed for summary in summaries for seed in summary["seeds"]]
    speed = images / seconds if seconds else first["images_per_second"]
    return {**found, "seeds": seeds, "train_seconds": seconds, "images_per_second": speed}


def _different(run: FinishedRun, first: FinishedRun) -> str:
    """Returns why a run cannot be seen beside the first; "": it can."""
    own, other = run.facts, first.facts
    if problem := run_folder.other_data(own, other):
        return problem
    for split in SPLITS:
        if own["examples"][split] != other["examples"][split]:
            sizes = f"{own['examples'][split]:,} images, not {other['examples'][split]:,}"
            return f"another {split} split: {sizes}"
    if not run.outcomes or not first.outcomes:
        return ""
    same = np.array_equal(_called(run.outcomes, own["classes"]), _called(first.outcomes, other["classes"]))
    return "" if same else "other test labels"


def _called(outcomes: dict[str, np.ndarray], classes: list[str]) -> np.ndarray:
    """What the test images are called, wherever among a model's classes that is: text [N] or, of strings, [N, L]."""
    return np.array([*classes, ""])[outcomes["label"]]  # a label of -1 fills up a string
