"""Ends a process in which nothing is done any more: a collective whose partner is gone hangs for ever, unnoticed."""

from __future__ import annotations

import faulthandler

_seconds = 0.0


def arm(seconds: float) -> None:
    """From now on the process ends (exit code 1, the stacks of all threads on standard error) when `alive` has not
    been called for so long; 0: never. A thread of its own watches, whatever the others wait for."""
    global _seconds
    _seconds = seconds
    alive()


def alive() -> None:
    """Says that something was done."""
    if _seconds:
        faulthandler.dump_traceback_later(_seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()
