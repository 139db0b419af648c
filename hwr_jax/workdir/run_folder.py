"""The run folder: its files, its lock, and the identity of a run (config, dataset, code). Knows nothing of training.

`claim` decides whether a folder may be used, and what is removed from it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ml_collections import ConfigDict

import hwr_jax
from hwr_jax.config import defaults
from hwr_jax.config.configs import difference, flatten, from_json, to_json
from hwr_jax.core import archives, files
from hwr_jax.core.errors import ConfigError, DataError, RunFolderError
from hwr_jax.core.types import Dataset
from hwr_jax.workdir import forms, machine

PREDICTIONS = "predictions.npz"
FILES = ("config.json", "environment.json", "metrics.jsonl", "timing.jsonl", PREDICTIONS, "summary.json")
LIMIT_BYTES = 1 << 32  # of what is read of PREDICTIONS
LOCK = ".lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # such as NFS without a lock manager
CODE = ("version", "sha256")  # what is recorded of the code
SPLITS = ("train", "validation", "test")


def config_digest(config: ConfigDict) -> str:
    """Returns the SHA-256 of a config, without the place of its data, and without the later keys that change nothing:
    a config has the same digest before and after base.py gains a key."""
    later = defaults.later()
    identifying = {k: v for k, v in _identifying(config).items() if k not in later or v != later[k]}
    return hashlib.sha256(json.dumps(identifying, sort_keys=True).encode()).hexdigest()


def identity(config: ConfigDict, dataset: Dataset) -> dict[str, Any]:
    """Returns what identifies a run: two runs with the same identity compute the same, whatever their versions."""
    return {
        "config": _identifying(config),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "classes": ", ".join(dataset.named or dataset.classes),
        },
        "code": {"version": hwr_jax.__version__, "sha256": machine.code_digest()},
    }


def environment(config: ConfigDict, dataset: Dataset, **more: Any) -> dict[str, Any]:
    """Returns what a run runs on and with: versions, devices, flags, git revision, command line, dataset, digests; and
    `more`."""
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
def locked(folder: Path, log: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Creates the folder if needed, and locks it; a lock left by a killed process does not count.

    If the folder is refused, a lock file that was not there before is removed again. Where the file system has no
    locks, `log` is called with a warning.

    Raises:
      RunFolderError: another process is training in it, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--workdir={folder} is a file: name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    known = path.exists()
    with contextlib.closing(_lock(path, log)):
        try:
            yield
        except (ConfigError, RunFolderError):
            if not known:
                path.unlink(missing_ok=True)
            raise


def _lock(path: Path, log: Callable[[str], None]) -> TextIO:
    """Returns the open, locked file; it stays locked until it is closed."""
    try:
        import fcntl
    except ImportError:
        return open(path, "a")  # Windows: not locked
    while True:
        lock = open(path, "a")  # noqa: SIM115  it stays open
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
            lock.close()  # a process whose folder was refused has removed it since
        except OSError as error:
            if error.errno in NO_LOCKS:
                words = f"{path.parent} is on a file system without locks ({error.strerror})"
                log(f"{words}: make sure that no other process trains in it")
                return lock
            lock.close()
            if isinstance(error, BlockingIOError):
                raise RunFolderError(
                    f"another process is training in {path.parent}: wait for it, or choose another --workdir"
                ) from None
            raise


def read_identity(folder: Path) -> dict[str, Any]:
    """Returns the identity that a run folder records; its code is the one that trained last."""
    config, env = read_config(folder), read_environment(folder)
    code = {k: codes(env)[-1][k] for k in CODE}
    data = {k: env["dataset"][k] for k in ("name", "sha256")}
    if (named := recorded_classes(config, env["dataset"])) is not None:
        data["classes"] = ", ".join(named)
    return {"config": _identifying(config), "dataset": data, "code": code}


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


def _identifying(config: ConfigDict) -> dict[str, Any]:
    """The config, flat, with absent keys, without the place of the data: the data's SHA-256 counts instead."""
    return {k: v for k, v in {**defaults.later(), **flatten(config)}.items() if k != "data.manual_dir"}


def begin(folder: Path, config: ConfigDict, env: dict[str, Any]) -> None:
    """Writes environment.json, then config.json, which makes the folder a run."""
    files.write_json(folder / "environment.json", {**env, "resumed": []})
    files.write_atomic(folder / "config.json", to_json(config))


def note_resume(folder: Path, env: dict[str, Any], step: int) -> None:
    """Records in environment.json that the run was resumed, from which step, and what has changed around it, or in the
    code."""
    old = read_environment(folder)
    recorded = machine.compared(old, env)
    changed = difference({k: old[k] for k in recorded}, {k: env.get(k) for k in recorded})
    entry = {"step": step, "started": env["started"], "command": env["command"], "changed": changed}
    before, now = ({k: code[k] for k in CODE} for code in (codes(old)[-1], env["code"]))
    if before["sha256"] != now["sha256"]:
        entry |= {"code": now, "changed": changed + difference({"code": before}, {"code": now})}
    files.write_json(folder / "environment.json", {**old, "resumed": [*old["resumed"], entry]})


def codes(env: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the versions of the code that trained a run, each with the `step` from which on, the first at 0.

    More than one only after --resume=anyway. `env`: the content of environment.json.
    """
    versions = [{"step": 0, **{k: env["code"][k] for k in CODE}}]
    for resumed in env["resumed"]:
        if "code" in resumed:  # what was trained from that step on, if anything, is lost
            versions = [code for code in versions if code["step"] < resumed["step"]]
            versions.append({"step": resumed["step"], **resumed["code"]})
    return versions


def origin(folder: Path) -> dict[str, str]:
    """Returns what a line of metrics.jsonl adds about its origin: the SHA-256 of the code, if several versions of it
    have trained the run."""
    versions = codes(read_environment(folder))
    return {"code": versions[-1]["sha256"]} if len(versions) > 1 else {}


def read_config(folder: Path) -> ConfigDict:
    """Returns the resolved config of a run.

    Raises:
      ConfigError: the folder is not a run.
      RunFolderError: config.json is damaged.
    """
    return defaults.fill(from_json(json.dumps(read_json(folder, "config.json"))))


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Returns the content of a JSON file of a run: an object, whose keys and types are not checked.

    Raises:
      ConfigError: the file does not exist.
      RunFolderError: it is damaged.
    """
    content = _read(folder, name)
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{folder / name} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise RunFolderError(f"{folder / name} is damaged or was not written by hwr_jax: it holds no JSON object")
    return value


def read_environment(folder: Path) -> dict[str, Any]:
    """Returns the content of environment.json, checked. Raises as `read_json` does."""
    return forms.check(read_json(folder, "environment.json"), forms.ENVIRONMENT, folder / "environment.json")


def read_summary(folder: Path) -> dict[str, Any]:
    """Returns the content of summary.json, checked. Raises as `read_json` does."""
    return forms.check(read_json(folder, "summary.json"), forms.SUMMARY, folder / "summary.json")


def read_predictions(folder: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns arrays of predictions.npz (see `evaluation.save_predictions`), which must be there.

    Raises:
      RunFolderError: it is damaged, or lacks one of them.
    """
    try:
        return archives.arrays(folder / PREDICTIONS, names, limit=LIMIT_BYTES)
    except DataError as error:
        raise RunFolderError(str(error)) from None


def other_data(own: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Returns how the data set of a run differs from that of another, as environment.json describes them; "": the same
    name and content."""
    if own["name"] != other["name"]:
        return f"another data set: {own['name']}, not {other['name']}"
    if own["sha256"] != other["sha256"]:
        return f"another content of {own['name']}: SHA-256 {own['sha256']:.12}, not {other['sha256']:.12}"
    return ""


def _read(folder: Path, name: str) -> bytes:
    if not (folder / name).is_file():
        what = "does not exist" if not folder.exists() else f"has no {name}"
        raise ConfigError(f"--workdir={folder} {what}: name a run folder that `python -m hwr_jax.main` wrote")
    return (folder / name).read_bytes()
