"""Experiment trackers (--track): each is fed what the event files get, by a process of its own.

A tracker can be slow, hang or die without the training noticing more than a warning: the training only writes lines to
a pipe, and never waits for it to be read. `tracking` is the other end of the pipe.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from hwr_jax.config.flat import flatten
from hwr_jax.core import printable
from hwr_jax.core.errors import ConfigError

PACKAGES = {"wandb": "wandb", "mlflow": "mlflow"}  # --track -> the package, which the extra of that name installs
PATIENCE_S = 60.0  # that a finished run waits for a tracker
PATIENCE_STOPPED_S = 3.0  # an interrupted one: whoever stopped it waits
MOST_BYTES = 1 << 24  # that wait for a tracker; a line has a few hundred
QUIET = {"WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # unless the user has set them
SUMMED = ("accuracy", "error_count", "cer", "loss", "f1_macro", "ece")  # of the results that a tracker gets


class Board(Protocol):
    """What the training reports to while it runs: event files, trackers."""

    def write(self, line: dict[str, Any]) -> None:
        """Takes a line of metrics.jsonl."""

    def speed(self, step: int, images_per_second: float) -> None:
        """Takes the training images of all seeds per second inside the steps."""

    def results(self, summary: dict[str, Any]) -> None:
        """Takes the content of summary.json, once, at the end of a finished run."""

    def close(self) -> None:
        """Ends the report, of a run that was interrupted too."""


class Boards:
    """Several boards as one."""

    def __init__(self, boards: Sequence[Board]):
        self._boards = list(boards)

    def write(self, line: dict[str, Any]) -> None:
        """See `Board`."""
        for board in self._boards:
            board.write(line)

    def speed(self, step: int, images_per_second: float) -> None:
        """See `Board`."""
        for board in self._boards:
            board.speed(step, images_per_second)

    def results(self, summary: dict[str, Any]) -> None:
        """See `Board`."""
        for board in self._boards:
            board.results(summary)

    def close(self) -> None:
        """See `Board`."""
        with contextlib.ExitStack() as stack:  # all, whatever one of them raises
            for board in self._boards:
                stack.callback(board.close)


def check(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker that is not known or not installed."""
    for name in names:
        if name not in PACKAGES:
            raise ConfigError(f"--track={name} is not known: use some of {', '.join(PACKAGES)}")
        if os.name == "nt":
            raise ConfigError(f"--track={name} needs pipes that Windows does not have: leave it out")
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise ConfigError(f"--track={name} needs {PACKAGES[name]}: pip install 'hwr_jax[{name}]'")


def about(folder: Path, config: Any, env: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, Any]:
    """Returns what a tracker has to know of a run.

    Args:
      folder: of the run.
      config: of the run.
      env: the content of environment.json when the run began: its `id` stays the same when the run is resumed.
      seeds: of the run.
    """
    identity = f"{folder.resolve()} {env['started']} {env.get('config_sha256', '')}"
    return {
        "folder": str(folder.resolve()),
        "name": folder.name,
        "id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "config": flatten(config),
        "dataset": f"{env['dataset']['name']} {env['dataset']['version']}",
        "code": f"{env['code']['version']} ({env['code']['sha256'][:12]})",
        "seeds": list(seeds),
    }


def start(names: Sequence[str], facts: dict[str, Any], log: Callable[[str], None]) -> list[Board]:
    """Starts the process of each tracker.

    Args:
      names: keys of PACKAGES, without repetition.
      facts: see `about`.
      log: called with a warning when a tracker fails: one for each.
    """
    return [Tracker(name, facts, log) for name in dict.fromkeys(names)]


class Tracker:
    """The training's end of the pipe to a tracker. No method raises or waits, except `close`, which waits a while."""

    def __init__(self, name: str, facts: dict[str, Any], log: Callable[[str], None]):
        """`name`, `facts`, `log`: see `start`."""
        self._name, self._log, self._patience_s = name, log, PATIENCE_STOPPED_S
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  until `close`: what the tracker writes to standard error
        self._left = bytearray()  # what the pipe has not taken yet
        self._unread = False  # whether nobody reads the pipe any more: the tracker has ended, or is just ending
        self._process: subprocess.Popen[bytes] | None = None
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hwr_jax.workdir.tracking", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env={**QUIET, **os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the training, which then closes the pipe
            )
            os.set_blocking(self._pipe(self._process).fileno(), False)
        except OSError as error:
            self._give_up(str(error))
        self._send({"about": facts})

    def write(self, line: dict[str, Any]) -> None:
        """See `Board`."""
        self._send({"step": line["step"], "values": values_of(line)})

    def speed(self, step: int, images_per_second: float) -> None:
        """See `Board`."""
        self._send({"step": step, "values": {"train/images_per_second": images_per_second}})

    def results(self, summary: dict[str, Any]) -> None:
        """See `Board`."""
        self._patience_s = PATIENCE_S
        self._send({"results": results_of(summary)})

    def close(self) -> None:
        """Closes the pipe, and waits a while for the tracker to end; it finishes alone if it needs longer."""
        deadline = time.monotonic() + self._patience_s
        while self._process is not None and self._left and time.monotonic() < deadline:
            select.select([], [self._pipe(self._process)], [], 1.0)
            self._flush()
        if self._process is not None:
            process = self._process
            self._pipe(process).close()
            try:
                if process.wait(max(0.0, deadline - time.monotonic())) or self._unread:
                    self._give_up(self._reason())
            except subprocess.TimeoutExpired:
                self._forget()
                self._log(
                    f"warning: the tracker {self._name} is slow: process {process.pid} keeps sending after the "
                    "training has ended"
                )
        self._said.close()

    @staticmethod
    def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
        assert process.stdin is not None
        return process.stdin

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is not None:
            if not self._unread:
                self._left += (json.dumps(message) + "\n").encode()
            self._flush()

    def _flush(self) -> None:
        """Writes what the pipe takes now, and gives up a tracker that has ended."""
        if self._process is None:
            return
        try:
            while self._left:
                del self._left[: os.write(self._pipe(self._process).fileno(), self._left)]
        except BlockingIOError:
            if len(self._left) > MOST_BYTES:
                self._give_up("it does not keep up")
        except OSError:
            self._unread = True
            self._left.clear()
        if self._unread and self._process is not None and self._process.poll() is not None:
            self._give_up(self._reason())

    def _reason(self) -> str:
        """Returns the last line that the tracker wrote, or its exit code."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        code = self._process.returncode if self._process is not None else None
        return next((line.strip() for line in reversed(lines) if line.strip()), f"it ended with code {code}")

    def _give_up(self, why: str) -> None:
        """Warns, once, and sends nothing any more."""
        self._forget()
        self._log(
            f"warning: the tracker {self._name} failed, and the training goes on without it: {printable.line(why)}"
        )

    def _forget(self) -> None:
        process, self._process, self._left = self._process, None, bytearray()
        if process is not None:
            with contextlib.suppress(OSError):
                self._pipe(process).close()
            if process.poll() is None:
                process.returncode = 0  # it keeps running, and Popen need not warn about it


def values_of(line: dict[str, Any]) -> dict[str, float]:
    """Returns the values of a line of metrics.jsonl, flat: "validation/loss", the mean over the seeds, and with several
    seeds "validation/loss/seed_0" and so on."""
    split, seeds, found = line["split"], line["seeds"], {}
    for name, values in line["per_seed"].items():
        found[f"{split}/{name}"] = sum(values) / len(values)
        if len(seeds) > 1:
            found |= {f"{split}/{name}/seed_{seed}": value for seed, value in zip(seeds, values, strict=True)}
    return found


def results_of(summary: dict[str, Any]) -> dict[str, float]:
    """Returns the results of a run, flat: "test/accuracy" and the ends of its interval, seconds, and so on."""
    found = {key: summary[key] for key in ("parameters", "train_seconds", "total_seconds", "images_per_second")}
    for split in ("validation", "test"):
        for name in SUMMED:
            if name in summary[split]:
                found[f"{split}/{name}"] = summary[split][name]["mean"]
                if (ends := summary[split][name]["ci95"]) is not None:
                    found |= {f"{split}/{name}/low": ends[0], f"{split}/{name}/high": ends[1]}
    return found
