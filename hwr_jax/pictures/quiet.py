"""Silence of Pillow and libtiff, which print to standard error what our own sentences say of a damaged picture."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

from hwr_jax.core.together import Together


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Sends file descriptor 2 nowhere: libtiff is C and writes to it directly."""
    with contextlib.suppress(AttributeError, ValueError, OSError):  # no stream, or closed
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing can be printed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_warnings = Together(lambda: warnings.catch_warnings(action="ignore"))
_stderr = Together(_no_stderr)


def quiet(*, stderr: bool = False) -> contextlib.AbstractContextManager[object]:
    """Hides Python's warnings and, with `stderr`, all that the process writes to standard error meanwhile.

    Threads may enter it at the same time.
    """
    return _both() if stderr else _warnings


@contextlib.contextmanager
def _both() -> Iterator[None]:
    with _warnings, _stderr:
        yield
