"""SIGTERM and SIGINT: handled between dispatches while training, immediately elsewhere; a second signal exits at once.

In a job of many processes, all agree on the dispatch after which they stop (`Agreed`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from hwr_jax.core import interrupts
from hwr_jax.core.errors import INTERRUPTED, TERMINATED, Stopped
from hwr_jax.distributed import processes

CODES = {signal.SIGTERM: TERMINATED, signal.SIGINT: INTERRUPTED}


class Signals:
    """Installs the handlers while entered; in a thread other than the main one Python allows none.

    With `deferred = True` a signal is only recorded, for `raise_pending` to raise. Where Python has to drop the
    exception (in a callback of the garbage collector, say), the signal is sent again.
    """

    def __init__(self) -> None:
        self.deferred = False
        self._received: int | None = None
        self._dropped = False

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._old = {number: signal.signal(number, self._handle) for number in CODES}
            self._old_hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        else:
            self._old = {}
        return self

    def install_again(self) -> None:
        """Takes the signals back from a library that has installed its own handlers since."""
        for number in self._old:
            signal.signal(number, self._handle)

    def __exit__(self, *_) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        if self._old:
            sys.unraisablehook = self._old_hook

    def _unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        if self._received is not None and isinstance(unraisable.exc_value, Stopped):
            self._dropped = interrupts.again_if_dropped(unraisable, self._received)
        else:
            self._old_hook(unraisable)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._dropped:  # this is the same signal again
            self._dropped = False
        elif self._received is not None:
            os._exit(CODES[signal.Signals(number)])
        self._received = number
        if not self.deferred:
            self.raise_pending("stopped")

    @property
    def pending(self) -> bool:
        """Whether a signal has arrived."""
        return self._received is not None

    def raise_pending(self, message: str) -> None:
        """Raises Stopped with the signal's exit code if one has arrived."""
        if self._received is not None:
            number = signal.Signals(self._received)
            raise Stopped(CODES[number], f"{number.name}: {message}")


class Agreed(Signals):
    """`Signals` for a job of many processes: a signal to any of them stops all after the same dispatch.

    JAX's own agreement (`reached_preemption_sync_point`) is switched off: orbax calls it with the numbers of the steps
    it saves, so that the agreed number lies many dispatches ahead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._agreed: int | None = None

    @property
    def pending(self) -> bool:
        """Whether all are to stop here. All processes must ask equally often: each question compares them."""
        # The handler may write `_received` while this waits for the other processes, so it is only read here.
        self._agreed = self._agreed or processes.highest(self._received or 0) or None
        return self._agreed is not None

    def raise_pending(self, message: str) -> None:
        """Raises Stopped with the exit code of the signal that all agreed on, or that arrived since."""
        if number := self._agreed or self._received:
            raise Stopped(CODES[signal.Signals(number)], f"{signal.Signals(number).name}: {message}")


def of_this_job() -> Signals:
    """Returns the handlers for a single process, or for one of many."""
    return Agreed() if processes.many() else Signals()
