"""A context that several threads may be in at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Together:
    """A context that many threads enter: the first one opens it, the last one closes it."""

    def __init__(self, make: Callable[[], contextlib.AbstractContextManager]):
        self._make, self._lock, self._inside = make, threading.Lock(), 0
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """The context."""
        with self._lock:
            if not self._inside:
                self._stack.enter_context(self._make())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._stack.close()
