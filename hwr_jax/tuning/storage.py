"""Where the trials of a search are kept: a journal file or a database. Decides when two searches are the same."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError, without_passwords
from hwr_jax.tuning.spec import Search
from hwr_jax.workdir import run_folder

JOURNAL = "journal.log"
OWNER = "owner"  # attribute of a trial: the machine and process that runs it


def open_study(search: Search, folder: Path, storage: str, *, sampler_seed: int | None) -> Any:
    """Opens or creates the Optuna study that all processes of a search share.

    Args:
      search: names the study.
      folder: of the journal file.
      storage: URL of a database (sqlite:///x.db, postgresql://...), or path of a journal file; "": in `folder`.
      sampler_seed: of the proposals; None: a new one each time, which several processes need.

    Raises:
      ConfigError: Optuna is not installed, or the storage has trials of another search.
      RunFolderError: the storage cannot be opened.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigError("the search needs Optuna: pip install 'hwr_jax[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    where: Any = storage
    try:
        if "://" not in storage:
            path = str(Path(storage).expanduser() if storage else folder / JOURNAL)
            lock = JournalFileOpenLock(path)
            lock.acquire()
            try:
                files.cut_torn_line(Path(path))  # Optuna would append to it, and could read neither line
            finally:
                lock.release()
            where = JournalStorage(JournalFileBackend(path, lock_obj=lock))
        study = optuna.create_study(
            storage=where,
            sampler=optuna.samplers.TPESampler(seed=sampler_seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
            study_name=search.name,
            direction="maximize",
            load_if_exists=True,
        )
    except Exception as error:
        words = f"--storage={storage or folder / JOURNAL} cannot be opened: {_line(error)}"
        raise RunFolderError(without_passwords(words)) from error
    what = {
        "SPACE": {key: list(map(str, choices)) for key, choices in search.space.items()},
        "SEEDS": search.seeds,
        "config": run_folder.config_digest(search.config),
    }
    for key, value in what.items():
        if study.user_attrs.get(key, value) != value:
            where = without_passwords(storage) or folder / JOURNAL
            raise ConfigError(
                f"{where} has trials of this search with another {key}: choose another --out, or remove it"
            )
        study.set_user_attr(key, value)
    _end_orphans(study)
    return study


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def owner() -> str:
    """Returns what the trials of this process are marked with: its machine, namespace of process ids, and process.

    A process id alone names another process in every container, of which several may have one host name, and after
    every restart of the machine.
    """
    return f"{_place()}:{os.getpid()}/{_started(os.getpid())}"


def _place() -> str:
    """Where a process id means the same process: the host, since it was started, and (Linux) the namespace."""
    found = [platform.node()]
    with contextlib.suppress(OSError):
        found += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return "/".join(found).replace(":", "")


def _end_orphans(study: Any) -> None:
    """Marks as failed the trials that a killed process left running. Those of another machine or container may live."""
    import optuna

    for frozen in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        place, _, process = frozen.user_attrs.get(OWNER, "").rpartition(":")
        number, _, started = process.partition("/")
        if place == _place() and number.isdecimal() and not _lives(int(number), started):
            study.tell(frozen.number, state=optuna.trial.TrialState.FAIL)


def _started(process: int) -> str:
    """When a process started, in ticks since the machine did (Linux); "": unknown. Ids are used again; this is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _lives(process: int, started: str) -> bool:
    """Whether the process exists that started then; assumed where the system cannot tell (Windows)."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not started or _started(process) in ("", started)
