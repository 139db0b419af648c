"""Trains the missing trials of a study on many machines, or in many processes, with Ray. Owns tasks and retries.

A task is a block of seeds of one variant. If its worker dies, another one repeats it; a record depends only on config
and seed, so it is the same on all machines of one kind.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.distributed.signals import Signals
from hwr_jax.studies import local, trial
from hwr_jax.studies.local import Load, VariantJob

BLOCK = 5  # seeds of a task, compiled together: what is lost when a worker dies
RETRIES = 10
CONNECT_S = 10.0
POLL_S = 0.5  # between two checks for a signal


def run(
    jobs: list[VariantJob],
    load: Load,
    signals: Signals,
    *,
    address: str = "",
    workers: int = 0,
    block: int = 0,
    data_dir: str | None = None,
    log: Callable[[str], Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (variant, record) as the tasks finish.

    Args:
      jobs: what is missing.
      load: config -> its data set; from an importable module, because every worker calls it.
      signals: entered; a signal ends all tasks.
      address: of a running Ray cluster; "": start one here, and stop it at the end.
      workers: processes of the cluster started here; 0: one per processor.
      block: seeds of a task; 0: five.
      data_dir: see `trial.compile_config`.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: Ray is not installed, or no cluster answers at the address. Also whatever a task raises.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--engine=ray needs Ray: pip install 'hwr_jax[ray]'") from None
    if not address:
        for config in {configs.to_json(job.config.data): job.config for job in jobs if job.seeds}.values():
            load(config)  # fills the cache once, before every worker looks for it
    _start(ray, address, workers)
    signals.install_again()  # Ray has replaced the handler of SIGTERM
    signals.deferred = True  # Ray would turn an exception raised inside it into one of its own
    try:
        yield from _tasks(ray, jobs, load, signals, block or BLOCK, data_dir, log)
    finally:
        signals.deferred = False
        ray.shutdown()


def _start(ray: Any, address: str, workers: int) -> None:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's coming default; silences a warning
    if host_port := re.fullmatch(r"(?:ray://)?(.+):(\d+)", address):  # Ray itself would try for minutes
        try:
            socket.create_connection((host_port[1], int(host_port[2])), timeout=CONNECT_S).close()
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
    jobs: list[VariantJob],
    load: Load,
    signals: Signals,
    block: int,
    data_dir: str | None,
    log: Callable[[str], Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(train_block)
    waiting = {}
    for job in jobs:
        for first in range(0, len(job.seeds), block):
            seeds = job.seeds[first : first + block]
            waiting[task.remote(configs.to_json(job.config), seeds, load, data_dir, os.getcwd())] = job.variant
    resources = ray.cluster_resources()
    log(f"{len(waiting)} tasks on {resources.get('CPU', 0):.0f} workers of {len(ray.nodes())} machines")
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=POLL_S)
        for result in done:
            variant = waiting.pop(result)
            try:
                records = ray.get(result)
            except ray.exceptions.RayTaskError as error:  # the worker's own exception, as if raised here
                raise error.cause from None
            for record in records:
                yield variant, record
        signals.raise_pending("stopped")


def train_block(
    config_json: str, seeds: list[int], load: Load, data_dir: str | None, folder: str
) -> list[dict[str, Any]]:
    """Trains a block of seeds in a worker, and returns their records; relative paths start at `folder`."""
    os.chdir(folder)
    size = local.block_size(0, len(seeds))
    fresh = (config_json, load, size, data_dir) not in _seen
    _seen.add((config_json, load, size, data_dir))
    config = configs.from_json(config_json)
    compiled = _compiled(config_json, load, size, data_dir)
    trials = [trial.Trial(config, seed) for seed in seeds]
    signals = Signals()  # not entered: Ray ends its workers itself
    records: list[dict[str, Any]] = []
    for first in range(0, len(seeds), size):
        records += trial.train(compiled, trials[first : first + size], signals)
    compile_seconds = round(compiled.seconds, 4) if fresh else 0.0
    return [{**record, "compile_seconds": 0.0 if i else compile_seconds} for i, record in enumerate(records)]


_seen: set[tuple] = set()  # what this worker has compiled


@functools.lru_cache(maxsize=1)
def _compiled(config_json: str, load: Load, size: int, data_dir: str | None) -> trial.Compiled:
    config = configs.from_json(config_json)
    return trial.compile_config(config, load(config), block=size, data_dir=data_dir, log=lambda line: None)
