"""NumPy archives (.npz) from anywhere: only named arrays, no pickles, and no more bytes than allowed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hwr_jax.core.errors import DataError


def names(path: Path) -> list[str]:
    """Returns the names of the arrays in an archive. Raises DataError if it is not a whole one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} is not a whole .npz archive: {error}") from error


def arrays(path: Path, wanted: Iterable[str], *, limit: int) -> dict[str, np.ndarray]:
    """Returns the `wanted` arrays of an archive, of any shape.

    Raises:
      DataError: it is damaged, lacks one of them, has one of Python objects, or they hold more than `limit` bytes.
      OSError: it cannot be read.
    """
    wanted, found = list(wanted), names(path)
    if missing := [name for name in wanted if name not in found]:
        raise DataError(f"{path} has no array {missing[0]}: it has {', '.join(found) or 'none'}")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(archive.getinfo(f"{name}.npy").file_size for name in wanted) > limit:  # zipfile reads no more
                raise DataError(f"{path} holds more than the {limit:,} bytes allowed")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted}
    except DataError:
        raise
    except (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
