"""The records of a study: results.jsonl, a line per trial. Owns the file, and who may write to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.data import configured
from hwr_jax.studies.spec import Study
from hwr_jax.workdir import forms, run_folder

FILE = "results.jsonl"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a folder of results, and removes a last line that a crash cut short. Raises RunFolderError if another
    process holds it."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--out={folder} is a file: name a folder")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(run_folder.locked(folder))
        except RunFolderError:
            raise RunFolderError(f"another process is writing the results in {folder}: wait for it to finish") from None
        files.cut_torn_line(folder / FILE)
        yield


def read(study: Study, folder: Path) -> list[dict[str, Any]]:
    """Returns the records of the study's variants, in the order of the variants and the seeds.

    Raises:
      RunFolderError: the file is damaged, or has a trial twice.
      ConfigError: a record belongs to another config than its variant's, to other data or first weights than those of
        variants that name the same, or to an unknown variant.
    """
    path = folder / FILE
    records: dict[tuple[str, int], dict[str, Any]] = {}
    for number, record in enumerate(files.read_json_lines(path), 1):
        if problem := forms.problem(record, forms.RECORD):
            raise RunFolderError(f"{path}, line {number}, is not a record of a study: {problem}")
        trial = (record["variant"], record["seed"])
        if trial in records:
            raise RunFolderError(f"{path}, line {number}: a second record of {trial[0]}, seed {trial[1]}: remove one")
        records[trial] = record
    for variant in study.variants:
        _check_config(study, path, variant, [r for (name, _), r in records.items() if name == variant])
    strangers = sorted({name for name, _ in records} - set(study.variants))
    if strangers:
        raise ConfigError(f"{path} has records of {strangers[0]}, which {study.path} does not define: remove them")
    _check_inputs(study, path, list(records.values()))
    order = {name: i for i, name in enumerate(study.variants)}
    return [records[trial] for trial in sorted(records, key=lambda trial: (order[trial[0]], trial[1]))]


def _check_config(study: Study, path: Path, variant: str, records: list[dict[str, Any]]) -> None:
    wanted = run_folder.config_digest(study.configs[variant])
    others = [r["seed"] for r in records if r["config_sha256"] != wanted]
    if others:
        raise ConfigError(
            f"{path} has {len(others)} records of {variant} (the first with seed {others[0]}) whose config differs "
            f"from {study.path}: remove those lines to train them again, or rename the variant"
        )


def _check_inputs(study: Study, path: Path, records: list[dict[str, Any]]) -> None:
    """Raises ConfigError if variants that name the same data, or the same run to start from, did not have the same."""
    for what, named, digest in (
        ("versions of the data set", configured.identity, lambda r: r["dataset"]["sha256"]),
        ("initial weights", lambda config: config.init_from, lambda r: r.get("init_from", {}).get("sha256")),
    ):
        found: dict[str, dict[str | None, str]] = {}  # what configs name -> its digests, each with a variant
        for r in records:
            found.setdefault(named(study.configs[r["variant"]]), {}).setdefault(digest(r), r["variant"])
        for digests in found.values():
            if len(digests) > 1:
                variants = ", ".join(dict.fromkeys(digests.values()))
                raise ConfigError(f"{path} has records of {variants} with {len(digests)} different {what}: remove some")


def append(folder: Path, variant: str, record: dict[str, Any]) -> None:
    """Adds a record to a `locked` folder; it is on the disk when this returns."""
    files.append_json_line(folder / FILE, {"variant": variant, **record})
