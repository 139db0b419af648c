"""Every page that the arguments of a command name: of files, folders, patterns and standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.inference import annotate
from hwr_jax.pictures import documents, inputs
from hwr_jax.pictures.documents import DocumentPage


def pages(
    arguments: Iterable[str], problems: list[str], log: Callable[[str], object]
) -> Iterator[tuple[str, DocumentPage]]:
    """Yields the name of each file and each of its pages, whatever becomes of the others.

    Leaves out the copies that an earlier call wrote (`annotate.is_copy`).

    Args:
      arguments: see `inputs.listed`; PDF files in folders are named too.
      problems: gets a sentence for each argument and file that cannot be read. A page that cannot be read is yielded.
      log: called with a sentence for each choice that was made, and for what was skipped.
    """
    for name, picture in _files(arguments, problems, log):
        try:
            if isinstance(picture, np.ndarray):
                raise DataError(f"{name}: not a picture but grey values in a file: predict reads those")
            yield from ((name, page) for page in documents.pages(picture))
        except (DataError, OSError) as error:
            problems.append(sentence(name, error))


def sentence(name: str, error: Exception) -> str:
    """Returns what is wrong with a picture, which it names."""
    words = str(error)
    if isinstance(error, OSError):
        return f"{name}: {error.strerror or error}"
    return words if name in words else f"{name}: {words}"


def _files(arguments: Iterable[str], problems: list[str], log: Callable[[str], object]) -> Iterator[tuple[str, Any]]:
    for argument in arguments:
        notes: list[str] = []
        copies = 0
        try:
            for name, picture in inputs.listed([argument], inputs.PLAIN, notes, pdf=True):
                if isinstance(picture, Path) and annotate.is_copy(picture):
                    copies += 1
                else:
                    yield name, picture
        except (ConfigError, DataError) as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(sentence(argument, error))
        if copies:
            notes.append(f"{argument}: skipped {copies} {'copy' if copies == 1 else 'copies'} that scan wrote earlier")
        for note in notes:
            log(note)
