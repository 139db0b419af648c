"""How a command line program begins and ends, whatever it is installed with: its streams, exit code and last sentence.

`command` adds what JAX, absl and jobs of many processes need. Imports nothing but the standard library and `core`.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback

from hwr_jax.core import errors, printable


def prepare_streams() -> None:
    """Sees to it that no name of a file and no closed stream can end the command."""
    for stream in (sys.stdout, sys.stderr):  # a name that is not UTF-8 must not end the command
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    open_missing_streams()


def open_missing_streams() -> None:
    """Gives a process whose standard output or error is closed (>&- in a shell) one that goes nowhere: whatever is
    printed, the work is done and its exit code is right. The descriptors are opened too, so that no file of ours gets
    the number 1 or 2, to which libraries print."""
    missing = [(number, name) for number, name in ((1, "stdout"), (2, "stderr")) if getattr(sys, name) is None]
    while missing and os.open(os.devnull, os.O_RDWR) <= missing[-1][0]:  # takes the lowest number that is free
        pass
    for number, name in missing:
        setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def forget_reader() -> None:
    """After a BrokenPipeError: the reader (head, less) is gone, and there is nobody to tell."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def classify(error: BaseException) -> tuple[int, str]:
    """Returns the exit code and the sentence of an error."""
    match error:
        case SystemExit():  # raised by rich when the reader is gone
            return errors.INPUT_OUTPUT, "standard output was closed before the end"
        case errors.Stopped():
            return error.code, str(error)
        case KeyboardInterrupt():
            return errors.INTERRUPTED, "interrupted"
        case errors.ConfigError():
            return errors.WRONG_CONFIG, str(error)
        case errors.DataError():
            return errors.BAD_DATA, str(error)
        case errors.NotFiniteError():
            return errors.NOT_FINITE, str(error)
        case MemoryError():
            return errors.OUT_OF_MEMORY, "out of memory"
        case OSError():
            return errors.INPUT_OUTPUT, _file_sentence(error)
        case RuntimeError() if "home directory" in str(error):  # of Path.expanduser
            return errors.WRONG_CONFIG, "a path begins with ~, but there is no such home folder: write the whole path"
    return errors.INTERNAL, f"{type(error).__name__}: {error}"


def say(code: int, message: str, defect: BaseException | None = None) -> int:
    """Prints to standard error how a command ends, with the traceback of a `defect` in front; returns `code`."""
    with contextlib.suppress(OSError):  # nobody reads
        if defect is not None:
            print(errors.without_passwords("".join(traceback.format_exception(defect))), end="", file=sys.stderr)
            message = f"internal error (this is a defect of {printable.PACKAGE}): {message}"
        if message:
            print(f"{printable.PACKAGE}: {printable.line(errors.without_passwords(message))}", file=sys.stderr)
    return code


def _file_sentence(error: OSError) -> str:
    if error.errno is None or isinstance(error, errors.RunFolderError):
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror}{where}"
