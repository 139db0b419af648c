"""Training from a program or a notebook, without flags: `hwr_jax.train`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from hwr_jax.cli import command, console
from hwr_jax.config import configs, shipped
from hwr_jax.core.errors import ConfigError
from hwr_jax.distributed import signals
from hwr_jax.inference.predictor import Predictor, load
from hwr_jax.training import experiment, job
from hwr_jax.training.session import Session
from hwr_jax.workdir import claim, logs, machine


class TrainedRun:
    """A finished run: its folder, its results, and its model."""

    def __init__(self, folder: Path, summary: dict[str, Any]):
        """`folder` is the run folder; `summary` is the content of its summary.json."""
        self.folder, self.summary = folder, summary

    def __repr__(self) -> str:
        accuracy = self.summary["test"]["accuracy"]["mean"]
        return f"TrainedRun({str(self.folder)!r}: {self.summary['dataset']}, test accuracy {100 * accuracy:.2f} %)"

    @functools.cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The history, a flat dict for each epoch, split and seed: `pandas.DataFrame(run.metrics)` is a table.

        The loss is in nats, accuracy and character error rate (`cer`, for strings) are shares.
        """
        return [
            {
                **{key: line[key] for key in ("epoch", "step", "split")},
                "seed": seed,
                **{name: values[i] for name, values in line["per_seed"].items()},
            }
            for line in logs.read_metrics(self.folder / "metrics.jsonl")
            for i, seed in enumerate(line["seeds"])
        ]

    @functools.cached_property
    def predictor(self) -> Predictor:
        """The trained model, loaded when first used: all seeds, in the state that the config selects."""
        return load(self.folder, log=lambda line: None)


def train(
    config: str | Path | ConfigDict,
    workdir: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: str = claim.SAME,
    data_dir: str | None = None,
    devices: int = 0,
    seed_groups: int = 1,
    track: Sequence[str] = (),
    quiet: bool = False,
) -> TrainedRun:
    """Trains what a config describes, as `hwr train` does: same checks, same run folder, same bits.

    Call it again to resume an interrupted run; if the folder holds the finished run, nothing is trained.

    >>> import hwr_jax
    >>> run = hwr_jax.train("digits:smoke", quiet=True)
    >>> run.folder.as_posix(), run.summary["dataset"], run.summary["test"]["accuracy"]["mean"] > 0.8
    ('runs/digits-smoke', 'digits', True)
    >>> list(run.metrics[0])
    ['epoch', 'step', 'split', 'seed', 'loss', 'accuracy', 'learning_rate']
    >>> run.predictor.classes
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')

    Args:
      config: the name of a config ("cnn", "digits:smoke"), the path of a config file, or a config, which is copied.
      workdir: the run folder; None: runs/<config name>, for a name or a path.
      overrides: values to set in the config, by flat key: {"optim.learning_rate": 1e-3}.
      overwrite: first remove the run that is in the folder.
      resume: "same": resume an interrupted run only with the code that began it; "anyway": with any.
      data_dir: folder of tensorflow-datasets; None: the usual one.
      devices: how many devices to use; 0: all.
      seed_groups: groups of devices; each trains its share of the seeds, and its devices share each batch.
      track: experiment trackers that the run is reported to as well: "wandb", "mlflow".
      quiet: print nothing; the config's fallback for missing data is not used then, for nobody would notice.

    Raises:
      ConfigError: a wrong name, key or value, an override without effect, or a folder that holds something else.
      DataMissing: the data is nowhere, and there is no fallback (as always for a config that is not a file).
      DataError, NotFiniteError, RunFolderError, OSError: see `hwr_jax.core.errors`.
      Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    given = dict(overrides or {})
    if isinstance(config, ConfigDict):
        path, resolved = "", configs.override(config.copy_and_resolve_references(), given, "the given config")
    else:
        path = shipped.resolve(config)
        resolved = configs.load(path, given)
    if workdir is None and not path:
        raise ConfigError("workdir is missing: a config that is not a file has no name, so name the run folder")
    if resume not in claim.RESUMES:
        raise ConfigError(f"resume={resume!r} is not possible: use {' or '.join(claim.RESUMES)}")
    for name, value, least in (("devices", devices, 0), ("seed_groups", seed_groups, 1)):
        if value < least:
            raise ConfigError(f"{name}={value} is too small: use {least} or more")
    machine.spare_threads()
    screen = console.make_console(quiet=quiet)
    with signals.of_this_job() as handlers:
        prepared = experiment.prepare(path, resolved, given, data_dir, screen.print, fallback=not quiet)
        named = None if workdir is None else str(workdir)
        folder = command.folder("workdir", named, f"runs/{command.run_name(prepared.path)}")
        session = Session(
            folder=folder,
            screen=screen,
            signals=handlers,
            data_dir=data_dir,
            devices=devices,
            seed_groups=seed_groups,
            track=tuple(track),
        )
        result = job.run(prepared.config, prepared.dataset, session, overwrite=overwrite, resume=resume)
    return TrainedRun(folder, result.summary)
