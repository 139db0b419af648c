"""What a benchmark measures, and how often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from hwr_jax.core.types import Dataset
from hwr_jax.data.configured import reads_strings


class Plan(NamedTuple):
    """What every part is given."""

    path: str  # of the config file, with its variant
    overrides: tuple[str, ...]  # --config.KEY=VALUE, for the processes that run the main job
    config: ConfigDict
    dataset: Dataset
    seeds: int  # of the part accuracy
    pairs: int  # turns of us and a peer
    peers: tuple[str, ...]  # names in `peers.PEERS`
    peers_dir: Path | None  # folder of the peer programs; None: they are not run
    peers_python: str  # the Python that runs them
    log: Callable[[str], None]

    @property
    def reads_strings(self) -> bool:
        """Whether the data are lines: the peers' network takes images of one digit."""
        return reads_strings(self.config)
