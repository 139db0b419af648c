"""Ends a process that makes no progress: a collective whose partner is gone hangs forever, unnoticed."""

from __future__ import annotations

import faulthandler

_seconds = 0.0


def arm(seconds: float) -> None:
    """Starts the watchdog; 0 stops it. If nobody calls `alive` for `seconds`, the process prints the stacks of all
    threads to standard error and exits with code 1. It runs in its own thread, whatever the others wait for."""
    global _seconds
    _seconds = seconds
    alive()


def alive() -> None:
    """Resets the watchdog."""
    if _seconds:
        faulthandler.dump_traceback_later(_seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()
