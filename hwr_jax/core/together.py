"""A context that several threads may be in at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class Together:
    """A context that many threads enter: the first one opens it, the last one closes it."""

    def __init__(self, make: Callable[[], contextlib.AbstractContextManager]):
        self._make, self._lock, self._inside = make, threading.Lock(), 0
        self._opened: contextlib.AbstractContextManager | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                made = self._make()
                made.__enter__()
                self._opened = made
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._opened:
                self._opened.__exit__(None, None, None)
