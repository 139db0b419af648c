"""Checkpoints: orbax behind four verbs, and a manifest of SHA-256 sums. The only file that imports orbax.

Why manifests: orbax does not notice a flipped bit in an array, and counts steps whose save failed or was cut short.
Here a step counts only if each of its files verifies; other steps are set aside, with a message.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import absl.logging
import jax

from hwr_jax.core import files
from hwr_jax.core.errors import NotFiniteError, RunFolderError, Stopped
from hwr_jax.core.types import Tree
from hwr_jax.distributed import processes
from hwr_jax.workdir import forms

READINGS = 10  # attempts of a reader, in a folder where another process trains
SPACE_FACTOR, SPACE_BYTES = 1.2, 1_000_000  # what a save needs: the arrays and their index; the small files


class Checkpoints:
    """The checkpoints of one run folder: `checkpoints/<step>/` and `manifests/<step>.json`.

    Saving is asynchronous: `save` returns once the arrays are copied. `settle` writes the manifest if the save has
    finished since, `wait` waits for it; only then are older steps removed. Errors are RunFolderError.
    """

    def __init__(self, folder: Path, *, keep: int = 1, read_only: bool = False):
        """Opens a run folder. `keep`: how many of the last steps to keep."""
        import orbax.checkpoint as ocp

        absl.logging.set_verbosity(absl.logging.FATAL)  # our own errors report what it would log
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # and what later writers would
        self._ocp, self._keep, self.folder = ocp, keep, folder
        self._steps, self._manifests = folder / "checkpoints", folder / "manifests"
        if not read_only:
            self._steps.mkdir(exist_ok=True)
            self._manifests.mkdir(exist_ok=True)
        self._pending: int | None = None
        self._asked = 0  # calls of `settle` since the save
        options = ocp.CheckpointManagerOptions(
            create=False, cleanup_tmp_directories=not read_only, read_only=read_only, max_to_keep=None
        )
        for attempt in range(READINGS):
            try:
                self._manager = ocp.CheckpointManager(self._steps.resolve(), options=options)
                break
            except FileNotFoundError:  # a step that the trainer has removed since
                if not read_only or attempt == READINGS - 1:
                    raise

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if processes.many() and kind is not None and not issubclass(kind, Stopped | NotFiniteError):
            return  # this process fails alone: the others will not reach the barriers that saving and closing wait for
        try:
            self.wait()
        except RunFolderError:
            if kind is None:
                raise
        finally:
            self._manager.close()

    def save(self, step: int, state: Tree) -> None:
        """Starts saving a state (every leaf with a leading seed axis) as `step`; waits for the save before it."""
        self.wait()
        _require_space(self._steps, state)
        try:
            args = self._ocp.args.Composite(state=self._ocp.args.StandardSave(state))
            if not self._manager.save(step, args=args, force=True):
                raise RuntimeError("orbax refused the step")
        except Exception as error:
            raise _unwritten(self._steps, step, error) from error
        self._pending, self._asked = step, 0

    def settle(self) -> None:
        """Writes the manifest of the last save if it has finished, and never waits. Exception: many processes would not
        all find it finished at the same call, so there the second call after the save waits for it."""
        self._asked += 1
        if processes.many():
            if self._asked == 2:
                self.wait()
            return
        if self._pending is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits until the last save, if any, is on disk with its manifest; then removes the steps beyond `keep`."""
        if self._pending is None:
            return
        step, self._pending = self._pending, None
        try:
            self._manager.wait_until_finished()
            if processes.is_main_process():
                write_manifest(self._steps / str(step), self._manifests / f"{step}.json")
            processes.barrier(f"manifest {step}")
            for old in sorted(self._manager.all_steps())[: -self._keep]:
                if processes.is_main_process():
                    (self._manifests / f"{old}.json").unlink(missing_ok=True)
                self._manager.delete(old)
        except Exception as error:
            raise _unwritten(self._steps, step, error) from error

    def newest(self, log: Callable[[str], None]) -> int | None:
        """Returns the newest step that verifies; None: none does. Only reads. `log`: called for each bad step."""
        step = self._newest(log)
        step = processes.from_main_process(-1 if step is None else step)
        return None if step < 0 else step

    def _newest(self, log: Callable[[str], None]) -> int | None:
        if not processes.is_main_process():
            return None
        for _ in range(READINGS):
            steps, manifests = self._on_disk()
            problems = {}
            for step in steps:
                problem = verify_manifest(self._steps / str(step), self._manifests / f"{step}.json")
                if problem is None:
                    break
                problems[step] = problem
            if len(problems) < len(steps) or (steps, manifests) == self._on_disk():
                break  # otherwise a trainer has removed all of these steps, and there are newer ones
        for step, problem in problems.items():
            log(f"checkpoint {step} of {self._steps.parent} cannot be used: {problem}")
        return next((step for step in steps if step not in problems), None)

    def drop_after(self, step: int | None) -> None:
        """Moves every step newer than `step` to quarantine/: they did not verify, and will be written again."""
        processes.barrier("before steps are dropped")
        for bad in self._steps_on_disk() if processes.is_main_process() else ():
            if step is not None and bad <= step:
                continue
            aside = self._steps.parent / "quarantine"
            aside.mkdir(exist_ok=True)
            shutil.rmtree(aside / str(bad), ignore_errors=True)
            os.replace(self._steps / str(bad), aside / str(bad))
            (self._manifests / f"{bad}.json").unlink(missing_ok=True)
        processes.barrier("steps are dropped")
        self._manager.reload()

    def restore(self, step: int, like: Tree) -> Tree:
        """Reads a step. `like`: shapes, dtypes and shardings (leaves may be jax.ShapeDtypeStruct)."""
        try:
            args = self._ocp.args.Composite(state=self._ocp.args.StandardRestore(like))
            return self._manager.restore(step, args=args)["state"]
        except Exception as error:
            raise RunFolderError(
                f"checkpoint {step} in {self._steps} cannot be read by this version: {first_line(error)}"
            ) from error

    def _on_disk(self) -> tuple[list[int], list[str]]:
        """The steps, newest first, and the manifests."""
        return self._steps_on_disk(), sorted(path.name for path in self._manifests.glob("*.json"))

    def _steps_on_disk(self) -> list[int]:
        if not self._steps.is_dir():
            return []
        return sorted((int(p.name) for p in self._steps.iterdir() if p.name.isdecimal()), reverse=True)


def write_manifest(step_folder: Path, manifest: Path) -> None:
    """Flushes a step's files and folders to disk, then writes the files' SHA-256 sums, atomically."""
    entries = {}
    for path in sorted(step_folder.rglob("*")):
        files.flush(path)
        if path.is_file():
            entries[path.relative_to(step_folder).as_posix()] = _digest(path)
    files.flush(step_folder)
    files.flush(step_folder.parent)
    files.write_json(manifest, {"files": entries})


def verify_manifest(step_folder: Path, manifest: Path) -> str | None:
    """Returns None if the step has exactly the files of its manifest, unchanged; else what is wrong, in words."""
    if not manifest.is_file():
        return "its save was not finished (it has no manifest)"
    try:
        expected = forms.check(files.read_json(manifest), forms.MANIFEST, manifest)["files"]
    except (ValueError, RecursionError, OSError):
        return f"its manifest {manifest.name} cannot be read"
    try:
        found = {p.relative_to(step_folder).as_posix() for p in step_folder.rglob("*") if p.is_file()}
    except FileNotFoundError:
        return "it was removed while it was being read"
    if found != set(expected):
        return f"files are missing or were added: {', '.join(sorted(found ^ set(expected))[:3])}"
    for name, digest in expected.items():
        try:
            if _digest(step_folder / name) != digest:
                return f"file {name} has changed since it was written (SHA-256)"
        except FileNotFoundError:
            return f"file {name} was removed while it was being read"
    return None if expected else "its manifest is empty"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _require_space(folder: Path, state: Tree) -> None:
    # Checked before: on a disk that fills up during a save, each of tensorstore's threads prints a traceback.
    needed = SPACE_FACTOR * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state)) + SPACE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunFolderError(
            f"the disk is full: {folder} has {free / 1e6:.1f} MB left and a checkpoint needs {needed / 1e6:.1f} MB; "
            "free some space and run the same command again to resume from the checkpoint before"
        )


def _unwritten(folder: Path, step: int, error: Exception) -> RunFolderError:
    return RunFolderError(f"checkpoint {step} could not be written to {folder}: {first_line(error)}")
