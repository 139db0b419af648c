"""A job, from config and data to a trained run: `run` claims the run folder, `train_claimed` trains in it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.core.types import Dataset
from hwr_jax.data import cache
from hwr_jax.distributed import processes
from hwr_jax.models import kernel_use
from hwr_jax.steps import compile_cache
from hwr_jax.steps.plan import make_plan
from hwr_jax.steps.run import Run, make_run
from hwr_jax.training import transfer
from hwr_jax.training.session import Session
from hwr_jax.training.train import train_in_folder
from hwr_jax.workdir import claim, run_folder, trackers

STATUSES = ("new", "resume", "finished")  # of `claim.claim`


class Result(NamedTuple):
    """What a job found in its folder, and the results that the folder holds now."""

    status: str  # 'new', 'resume' (an interrupted run was resumed) or 'finished' (nothing was left to train)
    summary: dict[str, Any]  # the content of summary.json


def run(
    config: ConfigDict, dataset: Dataset, session: Session, *, overwrite: bool = False, resume: str = claim.SAME
) -> Result:
    """Claims and locks the session's folder and trains the run in it: from the start, or from where it was interrupted.

    Needs no flags. If the folder holds the finished run, nothing is trained.

    Args:
      config: resolved and checked.
      dataset: the config's.
      session: where and how.
      overwrite: first remove the run that is in the folder.
      resume: 'same': resume an interrupted run only with the code that began it; 'anyway': with any.

    Raises:
      ConfigError: the folder holds another run, one begun with other code, or someone else's files; values do not fit
        the data or the devices; or a tracker is not installed.
      RunFolderError: the folder is in use, on no shared disk, or damaged; or a checkpoint cannot be read or written.
      Stopped: a signal came; the state is saved.
      NotFiniteError: the loss or a gradient became NaN or infinite, and the policy says halt, or its limit is reached.
      DataError: data is missing or bad.
      OSError: a file cannot be read or written.
    """
    folder, log = session.folder, session.screen.print
    with contextlib.ExitStack() as held:
        status = "new"
        if processes.is_main_process():
            trackers.check(session.track)  # it alone reports
            held.enter_context(run_folder.locked(folder, log))
            status = claim.claim(folder, config, dataset, overwrite=overwrite, resume=resume, log=log)
        status = STATUSES[processes.from_main_process(STATUSES.index(status))]  # processes exchange numbers
        if status == "finished":
            log(f"{folder} holds this run, finished: nothing was trained (use --overwrite to train it again)")
            if session.track:
                log(f"the run is finished: nothing is reported to {', '.join(session.track)}")
            return Result(status, run_folder.read_summary(folder))
        return Result(status, train_claimed(config, dataset, session, resume=status == "resume"))


def train_claimed(
    config: ConfigDict, dataset: Dataset, session: Session, *, resume: bool, last_epoch: int | None = None
) -> dict[str, Any]:
    """Trains what is left of a run in a claimed folder, and returns the content of its summary.json.

    Args:
      config: resolved and checked.
      dataset: the config's.
      session: where and how.
      resume: whether the folder holds the run; otherwise it is empty.
      last_epoch: stop after this epoch, leave the test set alone and return {}; None: train to the end.

    Raises what `run` raises.
    """
    folder, log = session.folder, session.screen.print
    processes.check_shared(folder)
    prepared = prepare(
        config,
        dataset,
        resumed=folder if resume else None,
        data_dir=session.data_dir,
        devices=session.devices,
        seed_groups=session.seed_groups,
        log=log,
    )
    run, env = prepared.run, prepared.env
    dataset, devices = run.dataset, int(run.sharding.mesh.devices.size)
    seeds = f"seeds {run.seeds[0]} to {run.seeds[-1]}" if len(run.seeds) > 1 else f"seed {run.seeds[0]}"
    epochs = f"{run.plan.epochs} epochs" if run.plan.epochs > 1 else "1 epoch"
    log(
        f"{run.plan.name} on {dataset.name} {dataset.version} ({len(dataset.train.label):,} training images), "
        f"{seeds}, {epochs}, {devices} x {env['devices'][0]}; run folder {folder}"
    )
    with _writable(folder) as writable:
        if not resume or writable != folder:
            run_folder.begin(writable, config, env)
        return train_in_folder(
            run, writable, session, env=env, resume=resume, warm_start=prepared.warm_start, last_epoch=last_epoch
        )


class Prepared(NamedTuple):
    """A config bound to its data and devices, ready to train."""

    run: Run
    env: dict[str, Any]  # of environment.json
    warm_start: transfer.WarmStart | None  # the weights to begin with; None: random ones


def prepare(
    config: ConfigDict,
    dataset: Dataset,
    *,
    resumed: Path | None = None,
    data_dir: str | None = None,
    devices: int | None = 0,
    seed_groups: int = 1,
    injected: bool = False,
    log: Callable[[str], Any],
) -> Prepared:
    """Binds a resolved and checked config to its data, to the weights it begins with, and to devices.

    Args:
      config, dataset: see `run`.
      resumed: the folder of the run that is resumed, if any.
      data_dir, devices, seed_groups: see `Session`.
      injected: see `make_recipe`.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: values do not fit each other, the data or the devices.
      DataError: the rehearsal data, or that of the first weights, is missing or bad.
      RunFolderError: the run of the first weights (config.init_from) is damaged.
    """
    compile_cache.cache_compilations(cache.default_cache_dir())
    plan, warm_start = make_plan(config), None
    if plan.transfer is not None:
        warm_start = transfer.prepare(plan.transfer, plan.network, dataset, resumed, data_dir, log)
        dataset = warm_start.dataset
    run = make_run(config, dataset, devices=devices, seed_groups=seed_groups, injected=injected)
    mesh = run.sharding.mesh
    layout = {"over_seeds": run.how, "mesh_devices": int(mesh.devices.size), "seed_groups": mesh.shape["seed"]}
    env = run_folder.environment(config, dataset, **layout, **kernel_use.facts(run.model))
    return Prepared(run, env if warm_start is None else {**env, "init_from": warm_start.facts}, warm_start)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[Path]:
    """Yields the folder that this process writes to: the run folder on the main process, else a temporary one."""
    if processes.is_main_process():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="hwr_jax-") as temporary:
        yield Path(temporary)
