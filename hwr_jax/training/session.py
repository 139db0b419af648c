"""Where and how a job runs: what the caller decides, and the config does not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from hwr_jax.distributed.signals import Signals


class Session(NamedTuple):
    """The surroundings of a job, made once by whoever starts it: a command, `verify`, a notebook."""

    folder: Path  # the run folder; all processes of a job share it
    screen: Console  # shows rows and tables; a quiet one (`console.make_console(quiet=True)`) shows nothing
    signals: Signals  # entered by the caller; in a thread other than the main one it installs no handlers
    data_dir: str | None = None  # folder of tensorflow-datasets, for the data to rehearse; None: the usual one
    devices: int = 0  # how many devices to use; 0: all
    seed_groups: int = 1  # groups of devices; each trains its part of the seeds, and its devices share each batch
    track: tuple[str, ...] = ()  # experiment trackers that the run is reported to: keys of `trackers.PACKAGES`
    started: float | None = None  # `time.perf_counter()` at the start of the process; None: when training starts
