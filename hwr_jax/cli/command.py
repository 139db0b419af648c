"""How every command runs: it ends with an exit code of `errors`, and an error is one clear sentence."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import absl.flags

import hwr_jax
from hwr_jax.cli import flags, manual
from hwr_jax.core import errors, interrupts, printable
from hwr_jax.distributed import processes

ECHOES = ("Event loop is closed", "Encountered error while reading array index")
MAIN_PROCESS_LAST_S = 1.0  # when the main process has gone, JAX aborts the others


def run(main: Callable[..., int | None], verb: flags.Flags, *, usage: str, arguments: str = "") -> None:
    """Parses the flags, runs `main`, and exits with its code or with the code of its error.

    Args:
      main: returns the exit code; None is 0.
      verb: the flags of the command.
      usage: what the command does and examples, for --help.
      arguments: what the command takes beside flags, such as "PICTURE..."; if it takes any, `main` is called with a
        list of them.
    """
    code = errors.DONE
    for stream in (sys.stdout, sys.stderr):  # a name that is not UTF-8 must not end the command
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    sys.unraisablehook = leave_out_echoes
    interrupts.handle_from_now()
    open_missing_streams()
    try:
        if asked := answer(sys.argv, verb, usage, arguments):
            print(asked)
        else:
            left = flags.parse(sys.argv, verb, arguments=bool(arguments))
            code = (main(left) if arguments else main()) or errors.DONE
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) is gone, and there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BaseException as error:
        _leave_at_once(report(error))
    processes.end()
    sys.exit(code)


def answer(argv: list[str], verb: flags.Flags, usage: str, arguments: str) -> str:
    """Returns what --help or --version asks for; "" if the command line has neither."""
    line = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    if any(a in ("--help", "-h", "-help", "--helpfull") for a in line):
        program = f"python -m hwr_jax.{Path(argv[0]).stem}"
        configs = [a.partition("=")[2] for a in line if re.match(r"--?config=.", a) and "config" in verb]
        return manual.text(program, verb, usage, arguments, "".join(configs[:1]))
    return f"hwr_jax {hwr_jax.__version__}" if "--version" in line else ""


def open_missing_streams() -> None:
    """Gives a process whose standard output or error is closed (>&- in a shell) one that goes nowhere: whatever is
    printed, the work is done and its exit code is right. The descriptors are opened too, so that no file of ours gets
    the number 1 or 2, to which libraries print."""
    missing = [(number, name) for number, name in ((1, "stdout"), (2, "stderr")) if getattr(sys, name) is None]
    while missing and os.open(os.devnull, os.O_RDWR) <= missing[-1][0]:  # takes the lowest number that is free
        pass
    for number, name in missing:
        setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _leave_at_once(code: int) -> NoReturn:
    """Ends the process without the interpreter's teardown, in which jaxlib crashes (segmentation fault) if a signal
    raised an exception during a compilation, orbax waits forever for a save that failed, and the processes of a job
    wait for each other. Whatever had to be saved is saved by now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads
            stream.flush()
    if processes.many() and processes.is_main_process():
        time.sleep(MAIN_PROCESS_LAST_S)  # the others may be leaving for the same reason: let them exit with their code
    os._exit(code)


def leave_out_echoes(unraisable: sys.UnraisableHookArgs) -> None:
    """Sends an interruption again that Python had to drop, and hides the echoes of a failed save or restore: after the
    first error, which `report` prints, orbax closes its event loop, and each unfinished thread of tensorstore complains
    about that, array by array."""
    if not interrupts.again_if_dropped(unraisable) and not str(unraisable.exc_value).startswith(ECHOES):
        sys.__unraisablehook__(unraisable)


def report(error: BaseException) -> int:
    """Prints an error as the user should see it, to standard error, and returns its exit code."""
    code, message = classify(error)
    with contextlib.suppress(OSError):  # nobody reads
        if code == errors.INTERNAL and not processes.is_of_another(error):
            print(errors.without_passwords("".join(traceback.format_exception(error))), end="", file=sys.stderr)
            message = f"internal error (this is a defect of hwr_jax): {message}"
        if message:
            print(f"hwr_jax: {printable.line(errors.without_passwords(message))}", file=sys.stderr)
    return code


def classify(error: BaseException) -> tuple[int, str]:
    """Returns the exit code and the sentence of an error."""
    match error:
        case SystemExit():  # raised by rich when the reader is gone
            return errors.INPUT_OUTPUT, "standard output was closed before the end"
        case errors.Stopped():
            return error.code, str(error)
        case KeyboardInterrupt():
            return errors.INTERRUPTED, "interrupted"
        case errors.ConfigError() | absl.flags.Error():
            return errors.WRONG_CONFIG, str(error)
        case errors.DataError():
            return errors.BAD_DATA, str(error)
        case errors.NotFiniteError():
            return errors.NOT_FINITE, str(error)
        case MemoryError():
            return errors.OUT_OF_MEMORY, _memory_hint()
        case OSError():
            return errors.INPUT_OUTPUT, _file_sentence(error)
        case RuntimeError() if "home directory" in str(error):  # of Path.expanduser
            return errors.WRONG_CONFIG, "a path begins with ~, but there is no such home folder: write the whole path"
    if processes.is_of_another(error):
        return errors.INTERNAL, "another process of this job has ended: its output says why"
    if "RESOURCE_EXHAUSTED" in str(error):
        return errors.OUT_OF_MEMORY, _memory_hint()
    return errors.INTERNAL, f"{type(error).__name__}: {error}"


def _memory_hint() -> str:
    return "out of memory: lower config.batch_size, config.eval.batch_size or config.seeds (GPU: docs/distributed.md)"


def _file_sentence(error: OSError) -> str:
    if error.errno is None or isinstance(error, errors.RunFolderError):
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    more = " (free some space, or choose another --workdir)" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return f"{error.strerror}{where}{more}"


def run_name(path: str) -> str:
    """Returns the name of a config's run: of configs/cnn.py it is cnn, of configs/cnn.py:smoke cnn-smoke."""
    name, _, variant = path.partition(":")
    return Path(name).stem + (f"-{variant}" if variant else "")


def folder(flag: str, value: str | None, default: str | None = None) -> Path:
    """Returns the folder that a flag names, with ~ expanded.

    Raises:
      ConfigError: it is not given and has no default, it is empty, or its ~user has no home folder.
    """
    if value is None and default is not None:
        return Path(default)
    if not value:
        raise errors.ConfigError(f"--{flag} is missing or empty: name a folder, such as --{flag}=runs/cnn")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise errors.ConfigError(f"--{flag}={value} cannot be used: {error}") from None
