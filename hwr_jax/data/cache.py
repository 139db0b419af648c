"""The decoded cache: a data set as four .npy files that are mapped into memory. Owns its folders and their layout.

Every read verifies it; a damaged data set is removed and built again. What killed processes and earlier versions of a
user's folder left here is removed when something is written. Where nothing can be written, data sets stay in memory.

    <cache_dir>/datasets/mnist-3.0.1/{train,test}_{image,label}.npy
                                     content.json    digest, SHA-256 of each array, classes, version, where it came from
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwr_jax.core import files
from hwr_jax.core.errors import DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data.content import Content, arrays, fingerprint, verify
from hwr_jax.data.sources import Source

DESCRIPTION = "content.json"
LEFT_S = 24 * 3600  # a half-written file or folder that is older was left by a process that was killed
KEPT = 2  # data sets in the cache that were made of one place of a user: the newest


def default_cache_dir() -> Path:
    """`HWR_CACHE_DIR`, else `XDG_CACHE_HOME/hwr_jax` (on Windows `LOCALAPPDATA`), else `~/.cache/hwr_jax`."""
    if own := os.environ.get("HWR_CACHE_DIR"):
        return Path(own).expanduser()
    shared = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "hwr_jax"


def root(cache_dir: str | Path | None) -> Path:
    """The cache folder itself: `cache_dir`, or the default for None."""
    return Path(cache_dir).expanduser() if cache_dir else default_cache_dir()


def folder(cache_dir: str | Path | None, source: Source) -> Path:
    """Where the data set lies in the cache."""
    return root(cache_dir) / "datasets" / f"{source.name.replace('/', '-')}-{source.version}"


def read(folder: Path, source: Source) -> tuple[Content, str]:
    """Map the arrays and verify every byte of them.

    Returns:
        The content, read-only, and its digest.

    Raises:
        DataError: a file is missing, damaged or of another version; the sentence names it.
    """
    description = _description(folder / DESCRIPTION)
    mapped = {}
    for key in (f"{split}_{field}" for split in Content._fields for field in Arrays._fields):
        path = folder / f"{key}.npy"
        try:
            mapped[key] = _load(path)
        except (FileNotFoundError, EOFError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
    train, test = (Arrays(mapped[f"{split}_image"], mapped[f"{split}_label"]) for split in Content._fields)
    content = Content(train, test)
    try:
        sha256 = verify(source, content, where=str(folder))
    except DataError as damage:
        raise DataError(f"{damage}{_culprit(description, content)}") from damage
    if sha256 != description["sha256"]:
        raise DataError(f"{folder}: SHA-256 {sha256}, expected {description['sha256']}{_culprit(description, content)}")
    return content, sha256


def _load(path: Path) -> np.ndarray:
    """An array, mapped; one without elements cannot be mapped, and is read."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        empty = 0 in header(file)[0]
    return np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)


def read_or_make(
    folder: Path,
    source: Source,
    make: Callable[[], Content],
    *,
    log: Callable[[str], object],
    place: Path | None = None,
    origin: str = "",
) -> tuple[Content, str]:
    """Map the arrays, rebuilding them (with a message) if they are missing or damaged. If the cache cannot be written,
    the content stays in memory, which is logged.

    Args:
        folder, source, make, log: of the data set.
        place: the folder or file of the user that it is made of; of each, the newest `KEPT` stay.
        origin: what identifies the files that it is made of (see `find`); "": unknown.

    Raises:
        DataError: the content is not the registered one.
        OSError: a damaged cache cannot be removed; the sentence names it.
    """
    try:
        there = folder.exists()
    except OSError:
        there = False
    if there:
        try:
            return read(folder, source)
        except DataError as damage:
            log(f"The cache is damaged and is built again: {damage}")
        remove(folder)
    made = make()
    try:
        write(folder, source, made, place=place, origin=origin)
    except OSError as error:
        log(f"Nothing is kept for the next time: {error}")
        return made, verify(source, made, where=source.name)
    tidy(folder, place)
    return read(folder, source)


def origins(folder: Path) -> list[str]:
    """Returns what identifies the files that a data set in the cache was made of, or was found to be equal to."""
    try:
        return [one for one in _description(folder / DESCRIPTION).get("origins", []) if isinstance(one, str)]
    except (DataError, OSError):
        return []


def add_origin(folder: Path, origin: str) -> None:
    """Notes that other files hold what a data set in the cache holds; a cache that cannot be written stays as it is."""
    try:
        description = _description(folder / DESCRIPTION)
        known = [one for one in origins(folder) if one != origin]
        text = json.dumps({**description, "origins": [*known[-9:], origin]}, indent=2)
        files.write_atomic(folder / DESCRIPTION, text + "\n")
    except (DataError, OSError):
        return


def tidy(folder: Path, place: Path | None = None) -> None:
    """Removes what killed processes left beside a data set, and all but the newest data sets made of a user's place."""
    remove_leftovers(folder.parent)
    if place is None:
        return
    prefix = folder.name.rpartition("-")[0]
    made = []
    for path in folder.parent.glob(f"{prefix}-*"):
        try:
            if _description(path / DESCRIPTION).get("place") == str(place.resolve()):
                made.append(((path / DESCRIPTION).stat().st_mtime_ns, path))
        except (DataError, OSError):
            continue
    for _, path in sorted(made)[:-KEPT]:
        if path != folder:
            shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(place: Path) -> None:
    """Removes half-written files and folders (.NAME-<32 hex digits>) that are older than a day."""
    try:
        for path in place.iterdir():
            if re.fullmatch(r"\..+-[0-9a-f]{32}", path.name) and time.time() - path.lstat().st_mtime > LEFT_S:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
    except OSError:
        return


def write(folder: Path, source: Source, content: Content, *, place: Path | None = None, origin: str = "") -> None:
    """Verify the content and write it, all or nothing. If another process was faster, its files stay. See
    `read_or_make` for `place` and `origin`.

    Raises:
        DataError: the content is not the registered one.
        OSError: the folder cannot be written; the sentence names it.
    """
    sha256 = verify(source, content, where=f"new cache {folder}")
    description = {
        "name": source.name,
        "version": source.version,
        "sha256": sha256,
        "classes": source.classes,
        "arrays": {key: fingerprint(array) for key, array in arrays(content)},
        **({"place": str(place.resolve())} if place is not None else {}),
        **({"origins": [origin]} if origin else {}),
    }
    unfinished = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        unfinished.mkdir(parents=True)
        for key, array in arrays(content):
            np.save(unfinished / f"{key}.npy", array)
        (unfinished / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        _publish(unfinished, folder)
    except OSError as error:
        raise OSError(
            f"the cache folder {folder.parent} cannot be written ({error.strerror or error}): make room there, "
            "or name another folder in HWR_CACHE_DIR"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove a damaged cache. Raises OSError, which names the folder, if that is not allowed."""
    aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another process removed it
    except OSError as error:
        raise OSError(f"the damaged cache {folder} cannot be removed ({error.strerror}): remove it by hand") from error
    shutil.rmtree(aside, ignore_errors=True)


def _publish(unfinished: Path, folder: Path) -> None:
    """The one step that makes the files visible."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not (folder / DESCRIPTION).exists():
            raise


def _description(path: Path) -> dict:
    """The parsed description. Raises DataError if it is missing, or was not written by hwr_jax."""
    try:
        description = json.loads(path.read_text())
        if isinstance(description["sha256"], str) and isinstance(description["arrays"], dict):
            return description
        raise ValueError("wrong types")
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error!r}") from error


def _culprit(description: dict, content: Content) -> str:
    """Which files differ from the description, as the end of a sentence."""
    changed = [f"{key}.npy" for key, array in arrays(content) if fingerprint(array) != description["arrays"].get(key)]
    return f" (changed: {', '.join(changed)})" if changed else ""
