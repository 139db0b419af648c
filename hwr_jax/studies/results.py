"""The records of a study: results.jsonl, a line for each (variant, seed). Owns the file, and who may write in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.studies.spec import Study
from hwr_jax.workdir import run_folder

FILE = "results.jsonl"
NEEDED = ("variant", "seed", "config_sha256", "dataset", "code")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder of results alone, without what a crash left of a last line. Raises RunFolderError where another
    process writes in it."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--out={folder} is a file: name a folder")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(run_folder.locked(folder))
        except RunFolderError:
            raise RunFolderError(f"another process writes the results of {folder}: wait for it") from None
        files.cut_torn_line(folder / FILE)
        yield


def read(study: Study, folder: Path) -> list[dict[str, Any]]:
    """Returns the records of the study's variants, in the order of the variants and the seeds.

    Raises:
      RunFolderError: the file is damaged, or has a pair twice.
      ConfigError: a record is of another config than the variant's, of another data set than the others, or of no
        variant.
    """
    path = folder / FILE
    records: dict[tuple[str, int], dict[str, Any]] = {}
    for number, record in enumerate(files.read_json_lines(path), 1):
        missing = [key for key in NEEDED if key not in record]
        if missing:
            raise RunFolderError(f"{path}, line {number}, is no record of a study: it has no {missing[0]!r}")
        pair = (record["variant"], record["seed"])
        if pair in records:
            raise RunFolderError(f"{path}, line {number}: {pair[0]} with seed {pair[1]} is there twice, remove one")
        records[pair] = record
    for variant in study.variants:
        _check_same(study, path, variant, [r for (name, _), r in records.items() if name == variant])
    strangers = sorted({name for name, _ in records} - set(study.variants))
    if strangers:
        raise ConfigError(f"{path} has records of {strangers[0]}, which {study.path} does not have: remove them, or it")
    order = {name: i for i, name in enumerate(study.variants)}
    return [records[pair] for pair in sorted(records, key=lambda pair: (order[pair[0]], pair[1]))]


def _check_same(study: Study, path: Path, variant: str, records: list[dict[str, Any]]) -> None:
    wanted = run_folder.config_digest(study.configs[variant])
    others = [r["seed"] for r in records if r["config_sha256"] != wanted]
    if others:
        raise ConfigError(
            f"{path} has {len(others)} records of {variant} (seed {others[0]} the first) of another config than "
            f"{study.path} has now: remove those lines to train them again, or give the variant another name"
        )
    for what, found in (
        ("contents of its data set", {r["dataset"]["sha256"] for r in records}),
        ("weights to begin with", {r.get("init_from", {}).get("sha256") for r in records}),
    ):
        if len(found) > 1:
            raise ConfigError(f"{path} has records of {variant} of {len(found)} different {what}: remove some")


def append(folder: Path, variant: str, record: dict[str, Any]) -> None:
    """Adds a record to a folder that is `locked`, on the disk when it returns."""
    files.append_json_line(folder / FILE, {"variant": variant, **record})
