"""Trains the missing pairs of a study on many machines, or in many processes, with Ray. Owns tasks and retries.

One task is a block of seeds of one variant. A task whose worker dies is done again elsewhere; a record is the same
wherever it is made (on machines of one kind), for it depends on config and seed alone.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

from ml_collections import ConfigDict

from hwr_jax.config import file as configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Dataset
from hwr_jax.distributed.signals import Signals
from hwr_jax.studies import local, trial
from hwr_jax.studies.local import Work

BLOCK = 5  # seeds of a task: what is lost when a worker dies, and what is compiled for
RETRIES = 10
CONNECT_S = 10.0
POLL_S = 0.5  # between two looks for a signal


def run(
    works: list[Work],
    load: Callable[[ConfigDict], Dataset],
    signals: Signals,
    *,
    address: str = "",
    workers: int = 0,
    block: int = 0,
    data_dir: str | None = None,
    log: Callable[[str], Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (variant, record) as the tasks end.

    Args:
      works: what is missing.
      load: config -> its data set; of an importable module, for every worker calls it.
      signals: entered; a signal ends all tasks.
      address: of a Ray cluster that runs; "": one is started here, and ended.
      workers: processes of the one that is started here; 0: one for each processor.
      block: seeds of a task; 0: five.
      data_dir: see `trial.compiled`.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: Ray is not installed, or there is no cluster at the address. And what a task raises.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--engine=ray needs Ray: pip install 'hwr_jax[ray]'") from None
    if not address:
        for config in {configs.to_json(w.config.data): w.config for w in works if w.seeds}.values():
            load(config)  # prepared once, before every worker looks for it
    _start(ray, address, workers)
    signals.install_again()  # Ray has taken SIGTERM
    signals.deferred = True  # what is raised inside of Ray comes out as an error of Ray's
    try:
        yield from _tasks(ray, works, load, signals, block or BLOCK, data_dir, log)
    finally:
        signals.deferred = False
        ray.shutdown()


def _start(ray: Any, address: str, workers: int) -> None:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default; silences a warning
    if found := re.fullmatch(r"(?:ray://)?(.+):(\d+)", address):  # Ray itself would try for minutes
        try:
            socket.create_connection((found[1], int(found[2])), timeout=CONNECT_S).close()
        except OSError as error:
            raise ConfigError(f"--ray_address={address} cannot be reached: {error}") from None
    common = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        if address:
            ray.init(address=address, **common)
        else:
            ray.init(address="local", num_cpus=workers or os.cpu_count(), include_dashboard=False, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--ray_address={address} cannot be reached: {str(error).splitlines()[0]}") from None


def _tasks(
    ray: Any,
    works: list[Work],
    load: Callable,
    signals: Signals,
    block: int,
    data_dir: str | None,
    log: Callable[[str], Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(train_block)
    waiting = {}
    for work in works:
        for first in range(0, len(work.seeds), block):
            seeds = work.seeds[first : first + block]
            waiting[task.remote(configs.to_json(work.config), seeds, load, data_dir, os.getcwd())] = work.variant
    resources = ray.cluster_resources()
    log(f"{len(waiting)} tasks on {resources.get('CPU', 0):.0f} workers of {len(ray.nodes())} machines")
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=POLL_S)
        for one in done:
            variant = waiting.pop(one)
            try:
                records = ray.get(one)
            except ray.exceptions.RayTaskError as error:  # as if it had been raised here
                raise error.cause from None
            for record in records:
                yield variant, record
        signals.raise_pending("stopped")


def train_block(
    config_json: str, seeds: list[int], load: Callable, data_dir: str | None, folder: str
) -> list[dict[str, Any]]:
    """Trains a block of seeds in a worker, and returns their records; `folder` is where relative paths begin."""
    os.chdir(folder)
    size = local.block_size(0, len(seeds))
    fresh = (config_json, load, size, data_dir) not in _seen
    _seen.add((config_json, load, size, data_dir))
    config = configs.from_json(config_json)
    one = _compiled(config_json, load, size, data_dir)
    pairs = [trial.Pair(config, seed) for seed in seeds]
    signals = Signals()  # not entered: Ray ends its workers itself
    records: list[dict[str, Any]] = []
    for first in range(0, len(seeds), size):
        records += trial.train(one, pairs[first : first + size], signals)
    return [{**r, "compile_seconds": round(one.seconds, 4) if fresh and i == 0 else 0.0} for i, r in enumerate(records)]


_seen: set[tuple] = set()  # what this worker has compiled


@functools.lru_cache(maxsize=1)
def _compiled(config_json: str, load: Callable, size: int, data_dir: str | None) -> trial.Compiled:
    config = configs.from_json(config_json)
    return trial.compiled(config, load(config), block=size, data_dir=data_dir, log=lambda line: None)
