"""Whose folder --workdir is: new, this run's, another run's, or somebody else's. The only file that removes a run.

It removes nothing unless config.json or environment.json proves that hwr_jax wrote the folder, and then only files with
names that a run writes. It removes links, and never follows them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from hwr_jax.config.configs import difference, flatten
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.core.types import Dataset
from hwr_jax.distributed import processes
from hwr_jax.workdir import forms, run_folder

# The names that a run writes into each folder, whole, as regular expressions; any other file in it is the user's.
FOLDERS = {
    "manifests": r"\d+\.json(\.tmp-\d+)?",
    "checkpoints": r"\d+(\.orbax-checkpoint-tmp.*)?",
    "quarantine": r"\d+",
    "tensorboard": r"seed_\d+",
    "wandb": r"(offline-)?run-[\w-]+|latest-run|debug(-internal)?\.log",
    "mlflow": r"mlflow\.db(-journal|-wal|-shm)?|artifacts",
    "figures": r"(learning_curves|confusion_matrix|worst_mistakes|training_images|first_filters|own_picture(_.+)?"
    r"|(compared_)?(curves|calibration|risk_coverage|classes)|confusion|hardest|embedding|evidence|features)\.png"
    r"(\.tmp-\d+)?",
}
PROOF = {  # the files that prove a run, and keys that only a run of hwr_jax has together
    "config.json": ("over_seeds", "steps_per_dispatch", "data.subset_seed", "nonfinite.policy", "transfer.layer_decay"),
    "environment.json": ("dataset.name", "dataset.sha256", "code.version", "code.sha256", "resumed"),
}
RESUMES = (SAME, ANYWAY) = ("same", "anyway")  # of --resume
FIRST = "summary.json"  # to be removed: a run without its checkpoints is not finished
FILES = tuple(name for name in run_folder.FILES if name not in (FIRST, *PROOF))


def claim(
    folder: Path,
    config: ConfigDict,
    dataset: Dataset,
    *,
    overwrite: bool,
    resume: str = SAME,
    log: Callable[[str], None] = lambda line: None,
) -> str:
    """Decides what to do in the locked folder: 'new' (start there), 'resume', or 'finished' (nothing).

    Args:
      folder: locked by `run_folder.locked`.
      config: resolved and checked.
      dataset: the config's.
      overwrite: first remove the run that is in the folder.
      resume: 'same': resume an interrupted run only with the code that began it; 'anyway': with any.
      log: called with a message for each thing that `overwrite` leaves in the folder, and if the code has changed.

    Raises:
      ConfigError: the folder holds another run (the message lists the differences), or files of somebody else.
      RunFolderError: it holds a damaged run. Nothing was removed.
    """
    damage = {name: problem for name in PROOF if (problem := _damage(folder, name))}
    if overwrite and len(damage) < len(PROOF):
        clear(folder, log)
        return "new"
    if not damage:
        return _status(folder, config, dataset, resume, log)
    strangers = [path.name for path in sorted(folder.iterdir()) if not _left_by_a_start(path, damage)]
    if not strangers:  # empty, or a run that was killed before its config.json was written
        clear(folder, log)
        return "new"
    if len(damage) < len(PROOF):
        how = f"repair it, choose another --workdir, or use --overwrite to remove the run: {'; '.join(damage.values())}"
        raise RunFolderError(f"--workdir={folder} holds a damaged run, and nothing in it was touched: {how}")
    known = [damage[name] for name in PROOF if name in strangers]
    more = f" ({'; '.join(known)})" if known else ""
    raise ConfigError(
        f"--workdir={folder} holds {strangers[0]!r}, and hwr_jax cannot tell that a run of its own wrote it{more}; "
        "nothing was touched: name a new or empty folder"
    )


def _damage(folder: Path, name: str) -> str:
    """Returns, in words, why a file does not prove a run; "" if it does."""
    path = folder / name
    if not path.is_file():
        return f"{name} is missing"
    try:
        value = run_folder.read_json(folder, name)
    except (ConfigError, RunFolderError) as error:
        return str(error)
    flat = flatten(value)
    missing = [f"it has no {key!r}" for key in PROOF[name] if key not in flat]
    if name == "environment.json" and not missing:
        missing = [problem for problem in [forms.problem(value, forms.ENVIRONMENT)] if problem]
    return f"{path} is damaged or was not written by hwr_jax: {missing[0]}" if missing else ""


def _left_by_a_start(path: Path, damage: dict[str, str]) -> bool:
    """Whether a run that had not started training left this: removing it loses nothing."""
    if path.name == "environment.json":
        return path.name not in damage
    if path.name in FOLDERS and path.is_dir() and not path.is_symlink():
        return not any(path.iterdir())
    return path.name == ".lock" or _is_remnant(path)


def _is_remnant(path: Path) -> bool:
    """Whether a killed run left this file: half-written, or a sign between processes."""
    file, _, number = path.name.rpartition(".tmp-")
    torn = file in run_folder.FILES and number.isdecimal()
    sign = re.fullmatch(re.escape(processes.SIGN) + "[0-9a-f]{32}", path.name)
    return (torn or sign is not None) and path.is_file()


def _status(folder: Path, config: ConfigDict, dataset: Dataset, resume: str, log: Callable[[str], None]) -> str:
    old, new = run_folder.read_identity(folder), run_folder.identity(config, dataset)
    if "classes" not in old["dataset"]:  # of an older version
        del new["dataset"]["classes"]
    finished = (folder / FIRST).exists()
    other_code = old["code"]["sha256"] != new["code"]["sha256"]
    if not other_code:  # another version that computes the same
        old = {**old, "code": new["code"]}
    changes = difference(old, new)
    if any(not change.startswith("code.") for change in changes):
        raise ConfigError(_another_run(folder, changes))
    if not other_code:
        return "finished" if finished else "resume"
    if finished:
        log(f"the code has changed since {folder} was trained, by hwr_jax {_name(old)}; now it is {_name(new)}")
        return "finished"
    if resume == ANYWAY:
        log(f"resuming with other code, which is recorded: hwr_jax {_name(old)} -> {_name(new)}")
        return "resume"
    raise ConfigError(
        f"{folder} holds this run, interrupted, and the code has changed since; nothing in it was touched: use "
        f"--resume={ANYWAY} to resume it with the code as it is now (every number from then on records that), or "
        f"--overwrite to remove it and start again. The differences (there -> here): {'; '.join(changes)}"
    )


def _name(identity: dict) -> str:
    return "{version} ({sha256:.12})".format(**identity["code"])


def _another_run(folder: Path, changes: list[str]) -> str:
    more = ""
    epochs = [re.fullmatch(r"config\.epochs: (\d+) -> (\d+)", change) for change in changes]
    if any(found and int(found[1]) < int(found[2]) for found in epochs):
        more = (
            f" To train it for more epochs, start a run from its weights: --config.init_from={folder} with another "
            "--workdir, and as many epochs as are to be added."
        )
    return (
        f"{folder} holds another run, and nothing in it was touched: choose another --workdir, or use --overwrite "
        f"to remove that run.{more} The differences (there -> here): {'; '.join(changes)}"
    )


def clear(folder: Path, log: Callable[[str], None] = lambda line: None) -> None:
    """Removes what a run writes, and nothing else; config.json last, so that a kill leaves a folder that is provably a
    run's.

    `log` is called with a message for each link, and for what is left where a run writes.
    """
    _remove_file(folder / FIRST, log)
    for name, pattern in FOLDERS.items():
        _clear_folder(folder / name, pattern, log)
    for path in list(folder.iterdir()):
        if path.name in FILES or _is_remnant(path):
            _remove_file(path, log)
    for name in reversed(PROOF):
        _remove_file(folder / name, log)


def _remove_file(path: Path, log: Callable[[str], None]) -> None:
    if path.is_dir() and not path.is_symlink():
        log(f"{path} was not removed: a run writes a file of that name, not a folder")
    else:
        path.unlink(missing_ok=True)


def _clear_folder(folder: Path, pattern: str, log: Callable[[str], None]) -> None:
    if folder.is_symlink():
        log(f"{folder} was a link to {folder.readlink()}: only the link was removed")
        folder.unlink()
        return
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if not re.fullmatch(pattern, path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    left = sorted(path.name for path in folder.iterdir())
    if left:
        log(f"{folder} was not removed: a run did not write {left[0]!r} in it")
    else:
        folder.rmdir()
