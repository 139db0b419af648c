"""One job in a claimed run folder: from config and data to a trained run. Owns the order of the steps, and no flag."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from rich.console import Console

from hwr_jax.core.types import Dataset
from hwr_jax.data import cache
from hwr_jax.distributed import processes
from hwr_jax.distributed.signals import Signals
from hwr_jax.steps import compiled
from hwr_jax.steps.run import Run, make_run
from hwr_jax.training import transfer
from hwr_jax.training.train import train
from hwr_jax.workdir import run_folder


class Job(NamedTuple):
    """What is trained, and what is noted of it."""

    run: Run
    env: dict[str, Any]  # of environment.json
    begun: transfer.Begun | None  # the weights it begins with, where they are not random


def bind(
    config: ConfigDict,
    dataset: Dataset,
    *,
    resumed: Path | None = None,
    data_dir: str | None = None,
    devices: int | None = 0,
    seed_groups: int = 1,
    injected: bool = False,
    log: Callable[[str], Any],
) -> Job:
    """Binds a resolved and checked config to its data, to the weights it begins with, and to devices (see `do`).

    Args:
      resumed: the folder of a run that goes on.
      injected: see `make_recipe`.
      log: called with one line of text for the user at a time.
    """
    compiled.cache_compilations(cache.default_cache_dir())
    begun = transfer.prepare(config, dataset, resumed, data_dir, log) if config.init_from else None
    if begun is not None:
        dataset = begun.dataset
    run = make_run(config, dataset, devices=devices, seed_groups=seed_groups, injected=injected)
    mesh = run.sharding.mesh
    env = run_folder.environment(
        config, dataset, over_seeds=run.how, mesh_devices=int(mesh.devices.size), seed_groups=mesh.shape["seed"]
    )
    return Job(run, env if begun is None else {**env, "init_from": begun.facts}, begun)


def do(
    config: ConfigDict,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool,
    screen: Console,
    signals: Signals,
    data_dir: str | None = None,
    devices: int = 0,
    seed_groups: int = 1,
    last_epoch: int | None = None,
    started: float | None = None,
) -> dict[str, Any]:
    """Trains what is left of a run, and returns the content of its summary.json.

    Args:
      config: resolved and checked.
      dataset: that of the config.
      folder: a locked run folder that `claim.claim` found new, or one to go on in.
      resume: which of the two.
      screen: for rows and tables.
      signals: entered.
      data_dir: of tensorflow-datasets, for what is rehearsed; None: the usual one.
      devices: how many are used; 0: all.
      seed_groups: of devices; each trains its part of the seeds, and shares each batch.
      last_epoch: stop after it, without reading the test set ({} is returned); None: train to the end.
      started: `time.perf_counter()` at the start of the process; None: now.

    Raises:
      ConfigError, DataError, Stopped, NotFiniteError, RunFolderError, OSError.
    """
    processes.check_shared(folder)
    bound = bind(
        config,
        dataset,
        resumed=folder if resume else None,
        data_dir=data_dir,
        devices=devices,
        seed_groups=seed_groups,
        log=screen.print,
    )
    run, env = bound.run, bound.env
    dataset, used = run.dataset, int(run.sharding.mesh.devices.size)
    seeds = f"seeds {run.seeds[0]} to {run.seeds[-1]}" if len(run.seeds) > 1 else f"seed {run.seeds[0]}"
    screen.print(
        f"{config.model.name} on {dataset.name} {dataset.version} ({len(dataset.train.label):,} training images), "
        f"{seeds}, {config.epochs} epochs, {used} x {env['devices'][0]}; run folder {folder}"
    )
    with _own_folder(folder) as own:
        if not resume or own != folder:
            run_folder.begin(own, config, env)
        return train(
            run,
            own,
            checkpoints_in=folder,
            env=env,
            resume=resume,
            screen=screen,
            signals=signals,
            started=time.perf_counter() if started is None else started,
            last_epoch=last_epoch,
            **({} if bound.begun is None else bound.begun.hooks(run)),
        )


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """Yields where this process writes: on the lead the run folder, elsewhere one that is thrown away."""
    if processes.is_main_process():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="hwr_jax-") as own:
        yield Path(own)
