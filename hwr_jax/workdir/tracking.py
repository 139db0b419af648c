"""The process of a tracker: `python -m hwr_jax.workdir.tracking NAME` reads the lines of `trackers` and passes them on.

Its first line is about the run; its input ends when the run does. What goes wrong here is
the last line of standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

LEAVE_S = 600.0  # after the end of the input: what is not sent by then, to a server that does not answer, is given up


class Writer(Protocol):
    """A tracker's client, opened for one run."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Takes values of a step."""

    def end(self, results: dict[str, float] | None) -> None:
        """Ends the run: with its results, or without if it was interrupted."""


def feed(open_writer: Callable[[dict[str, Any]], Writer], lines: Iterable[str]) -> None:
    """Passes the lines of a run to its writer. Raises whatever the writer raises."""
    each = map(json.loads, lines)
    first = next(each, None)
    if first is None:
        return
    writer, results = open_writer(first["about"]), None
    for message in each:
        if "results" in message:
            results = message["results"]
        else:
            writer.write(message["step"], message["values"])
    writer.end(results)


def _open(name: str) -> Callable[[dict[str, Any]], Writer]:
    if name == "wandb":
        from hwr_jax.workdir.wandb_writer import WandbWriter

        return WandbWriter
    from hwr_jax.workdir.mlflow_writer import MlflowWriter

    return MlflowWriter


def _input() -> Iterable[str]:
    """Yields the whole lines of the input, and then gives the writer a while to end."""
    for line in sys.stdin:
        if line.endswith("\n"):
            yield line
    timer = threading.Timer(LEAVE_S, os._exit, [1])
    timer.daemon = True
    timer.start()


def main(name: str) -> int:
    """Feeds the tracker of that name; returns the exit code."""
    try:
        feed(_open(name), _input())
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        print(words[:300], file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)  # clients leave threads behind that would wait for a server
