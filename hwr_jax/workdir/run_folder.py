"""The run folder: its files, its lock, and the identity of a run (config, dataset, code). Knows nothing of training.

`claim` decides whether a folder may be used, and what is removed from it.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import hwr_jax
from hwr_jax.config.configs import difference, flatten, from_json, to_json
from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.core.types import Dataset
from hwr_jax.workdir import machine

FILES = ("config.json", "environment.json", "metrics.jsonl", "timing.jsonl", "predictions.npz", "summary.json")
NEEDED = {"environment.json": ("dataset", "code", "resumed"), "summary.json": ("dataset", "test")}
ADDED = {
    "eval.shift_px": 0,
    "data.label_column": "",
    "data.pixel_scale": 0.0,
    "data.orientation": "upright",
    "data.class_map": "",
    "loss.class_weights": "none",
}  # keys that the first run folders lack, with the value that does what was done then
SPLITS = ("train", "validation", "test")


def config_digest(config: ConfigDict) -> str:
    """Returns the SHA-256 of a config, without the place of its data."""
    what = {k: v for k, v in _what(config).items() if (k, v) not in ADDED.items()}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def identity(config: ConfigDict, dataset: Dataset) -> dict[str, Any]:
    """Returns what identifies a run: two runs with the same identity compute the same."""
    return {
        "config": _what(config),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "classes": ", ".join(dataset.named or dataset.classes),
        },
        "code": {"version": hwr_jax.__version__, "sha256": machine.code_digest()},
    }


def environment(config: ConfigDict, dataset: Dataset, **more: Any) -> dict[str, Any]:
    """Returns what a run runs on and with: versions, devices, flags, git revision, command line, dataset, digests."""
    return {
        "config_sha256": config_digest(config),
        "dataset": {
            "name": dataset.name,
            "version": dataset.version,
            "sha256": dataset.sha256,
            "classes": list(dataset.classes),
            **({"named": list(dataset.named)} if dataset.named else {}),
            "shape": list(dataset.train.image.shape[1:]),
            "examples": {s: len(getattr(dataset, s).label) for s in SPLITS},
            "mean": dataset.mean,
            "std": dataset.std,
        },
        "code": {"version": hwr_jax.__version__, "sha256": machine.code_digest(), "git": machine.git_revision()},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **machine.facts(),
        **more,
    }


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Creates the folder if needed, and locks it; a lock left by a killed process does not count.

    Raises:
      RunFolderError: another process is training in it, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--workdir={folder} is a file: name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass  # Windows: not locked
        except BlockingIOError:
            raise RunFolderError(
                f"another process is training in {folder}: wait for it, or choose another --workdir"
            ) from None
        yield


def read_identity(folder: Path) -> dict[str, Any]:
    """Returns the identity that a run folder records."""
    config, env = read_config(folder), read_json(folder, "environment.json")
    code = {k: env["code"][k] for k in ("version", "sha256")}
    data = {k: env["dataset"][k] for k in ("name", "sha256")}
    if (named := recorded_classes(config, env["dataset"])) is not None:
        data["classes"] = ", ".join(named)
    return {"config": _what(config), "dataset": data, "code": code}


def recorded_classes(config: ConfigDict, facts: dict[str, Any]) -> list[str] | None:
    """Returns what the classes of a run's data set are called where the data lies. None: an older version did not
    record that of a run that kept the output layer, and so the class names, of another one.

    Args:
      config: of the run.
      facts: about its data, from environment.json.
    """
    if "named" in facts:
        return facts["named"]
    return None if config.init_from and config.transfer.head == "keep" else facts["classes"]


def _what(config: ConfigDict) -> dict[str, Any]:
    """The config, flat, without the place of the data: the data's SHA-256 counts instead."""
    return {k: v for k, v in flatten(config).items() if k != "data.manual_dir"}


def begin(folder: Path, config: ConfigDict, env: dict[str, Any]) -> None:
    """Writes environment.json, then config.json, which makes the folder a run."""
    files.write_json(folder / "environment.json", {**env, "resumed": []})
    files.write_atomic(folder / "config.json", to_json(config))


def note_resume(folder: Path, env: dict[str, Any], step: int) -> None:
    """Records in environment.json that the run was resumed, from which step, and what has changed around it."""
    old = read_json(folder, "environment.json")
    recorded = [key for key in machine.SURROUNDINGS if key in old]
    changed = difference({k: old[k] for k in recorded}, {k: env.get(k) for k in recorded})
    entry = {"step": step, "started": env["started"], "command": env["command"], "changed": changed}
    files.write_json(folder / "environment.json", {**old, "resumed": [*old["resumed"], entry]})


def read_config(folder: Path) -> ConfigDict:
    """Returns the resolved config of a run.

    Raises:
      ConfigError: the folder is not a run.
      RunFolderError: config.json is damaged.
    """
    text = _read_text(folder, "config.json")
    try:
        config = from_json(text)
    except (ValueError, TypeError) as error:
        raise RunFolderError(f"{folder / 'config.json'} is damaged: {error}") from None
    with config.unlocked():
        for key, value in ADDED.items():
            group, _, name = key.rpartition(".")
            if isinstance(config.get(group), ConfigDict) and name not in config[group]:
                config[group][name] = value
    return config


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Returns the content of a JSON file of a run.

    Raises:
      ConfigError: the file does not exist.
      RunFolderError: it is damaged.
    """
    try:
        value = json.loads(_read_text(folder, name))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{folder / name} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise RunFolderError(f"{folder / name} is damaged or was not written by hwr_jax: it holds no JSON object")
    missing = [key for key in NEEDED.get(name, ()) if key not in value]
    if missing:
        raise RunFolderError(f"{folder / name} is damaged or was not written by hwr_jax: it has no {missing[0]!r}")
    return value


def _read_text(folder: Path, name: str) -> str:
    if not (folder / name).is_file():
        what = "does not exist" if not folder.exists() else f"has no {name}"
        raise ConfigError(f"--workdir={folder} {what}: name a run folder that `python -m hwr_jax.main` wrote")
    return (folder / name).read_text()
