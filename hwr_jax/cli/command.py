"""How every command runs: it ends with an exit code of `errors`, and an error is one clear sentence."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import absl.flags

import hwr_jax
from hwr_jax.cli import ending, flags, manual
from hwr_jax.cli.folders import named as folder
from hwr_jax.config import configs
from hwr_jax.core import errors, interrupts
from hwr_jax.distributed import processes

__all__ = ["answer", "classify", "folder", "leave_out_echoes", "report", "run", "run_name"]

ECHOES = ("Event loop is closed", "Encountered error while reading array index")
OUT_OF_MEMORY = (
    "out of memory: lower config.batch_size, config.eval.batch_size or config.seeds (GPU: docs/distributed.md)"
)
GARBAGE = (50_000, 20, 50)  # while JAX traces, almost nothing is garbage: to look for it often took a smoke run 0.7 s
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
    gc.set_threshold(*GARBAGE)
    sys.unraisablehook = leave_out_echoes
    interrupts.handle_from_now()
    ending.prepare_streams()
    try:
        if asked := answer(sys.argv, verb, usage, arguments):
            print(asked)
        else:
            left = flags.parse(sys.argv, verb, arguments=bool(arguments))
            code = (main(left) if arguments else main()) or errors.DONE
        sys.stdout.flush()
    except BrokenPipeError:
        ending.forget_reader()
    except BaseException as error:
        _leave_at_once(report(error))
    processes.end()
    gc.freeze()  # or Python would search all that was imported for garbage, for half a second
    sys.exit(code)


def answer(argv: list[str], verb: flags.Flags, usage: str, arguments: str) -> str:
    """Returns what --help or --version asks for; "" if the command line has neither."""
    line = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    if any(a in ("--help", "-h", "-help", "--helpfull") for a in line):
        program = f"python -m hwr_jax.{Path(argv[0]).stem}"
        named = [a.partition("=")[2] for a in line if re.match(r"--?config=.", a) and "config" in verb]
        return manual.text(program, verb, usage, arguments, _keys(named[0]) if named else "")
    return f"hwr_jax {hwr_jax.__version__}" if "--version" in line else ""


def _keys(config: str) -> str:
    """Returns the keys of a config and their values, or why it cannot be loaded."""
    try:
        values = configs.flatten(configs.load(config))
    except errors.ConfigError as error:
        return str(error)
    return f"Keys of {config}:\n" + "\n".join(f"  --config.{key}={value}" for key, value in values.items())


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
    is_defect = code == errors.INTERNAL and not processes.is_of_another(error)
    return ending.say(code, message, error if is_defect else None)


def classify(error: BaseException) -> tuple[int, str]:
    """Returns the exit code and the sentence of an error."""
    if isinstance(error, absl.flags.Error):
        return errors.WRONG_CONFIG, str(error)
    code, message = ending.classify(error)
    if code == errors.INTERNAL and processes.is_of_another(error):
        return code, "another process of this job has ended: its output says why"
    if code == errors.OUT_OF_MEMORY or (code == errors.INTERNAL and "RESOURCE_EXHAUSTED" in str(error)):
        return errors.OUT_OF_MEMORY, OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message += " (free some space, or choose another --workdir)"
    return code, message


def run_name(path: str) -> str:
    """Returns the name of a config's run: of configs/cnn.py it is cnn, of configs/cnn.py:smoke cnn-smoke."""
    name, _, variant = path.partition(":")
    return Path(name).stem + (f"-{variant}" if variant else "")
