"""Ctrl-C while a command imports its libraries, which takes seconds: one line and exit code 130, at once.

Python raises KeyboardInterrupt wherever it happens to be. During an import that may be a callback of the garbage
collector, which drops the exception: the command would go on as if nothing had happened. Nothing has begun yet, so this
handler ends the process instead. Later, in the command's own code, it raises KeyboardInterrupt as usual, and one that
was dropped is sent again (`again_if_dropped`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from hwr_jax.core.errors import INTERRUPTED, Stopped
from hwr_jax.core.printable import PACKAGE

IMPORTING = "importlib._bootstrap"  # the module whose frames are on the stack during an import
AGAIN_S = 0.05  # until a dropped exception is raised again: by then the callback has returned
LINE = f"{PACKAGE}: interrupted\n"


def handle_from_now() -> None:
    """Installs the handler, in the main thread of a command, unless SIGINT is ignored (as with nohup)."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) in (
        signal.default_int_handler,
        signal.SIG_DFL,
    ):
        signal.signal(signal.SIGINT, _handle)


def handle_if_command() -> None:
    """Installs the handler if `python -m hwr_jax...` is being started; a program that imports hwr_jax keeps its own."""
    pairs = zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    if sys.argv[:1] == ["-m"] and any(flag == "-m" and name.startswith("hwr_jax") for flag, name in pairs):
        handle_from_now()


def _handle(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_globals.get("__name__") == IMPORTING:
            os.write(2, LINE.encode())
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def again_if_dropped(unraisable: sys.UnraisableHookArgs, number: int = signal.SIGINT) -> bool:
    """Whether an exception that Python had to drop was an interruption; if so, sends the signal again.

    Call it from `sys.unraisablehook`.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt | Stopped):
        return False
    timer = threading.Timer(AGAIN_S, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()
    return True
