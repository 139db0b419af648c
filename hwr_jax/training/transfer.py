"""A warm start: which weights of another run a run begins with, the data that fits them, accuracy before and after."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax import data, models
from hwr_jax.config.configs import difference
from hwr_jax.core import digests
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Dataset, TrainState, Tree
from hwr_jax.data import subset
from hwr_jax.inference import evaluation, predictor
from hwr_jax.inference.predictor import Predictor
from hwr_jax.steps.plan import Transfer
from hwr_jax.steps.run import Run, on_device
from hwr_jax.tasks import metrics
from hwr_jax.workdir import run_folder

FREE = ("model.dropout:", "model.precision:", "model.convolution:", "model.initializer:")  # may differ


class WarmStart(NamedTuple):
    """What a run needs that begins with the weights of another one."""

    source: Predictor  # the weights, of all seeds of that run
    new_head: bool  # the output layer keeps its random weights
    facts: dict[str, str]  # of the weights, for environment.json
    dataset: Dataset  # the data to train on, fitted to the weights, with the images to rehearse
    old: Dataset | None  # the data set to rehearse


def prepare(
    transfer: Transfer,
    network: dict[str, dict[str, Any]],
    dataset: Dataset,
    resumed: Path | None,
    data_dir: str | None,
    log: Callable[[str], Any],
) -> WarmStart:
    """Loads the weights to begin with, and fits the data set to them.

    Args:
      transfer, network: of the plan.
      dataset: to train on.
      resumed: the folder of the run that is resumed, if any; it must have begun with the same weights.
      data_dir: folder of tensorflow-datasets; None: the usual one.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: see `load`, `adapt` and `rehearse`; or the weights have changed since the run began with them.
      RunFolderError: no checkpoint can be used.
    """
    source = load(transfer.init_from, network, dataset.train.image.shape[1:], log)
    current = facts(transfer.init_from, source)
    if resumed and (before := run_folder.read_environment(resumed).get("init_from")) != current:
        raise ConfigError(
            f"the run {transfer.init_from}, with which {resumed} began, has changed since (SHA-256 of its weights now "
            f"{current['sha256'][:12]}, then {(before or current)['sha256'][:12]}): use --overwrite to start again"
        )
    fitted = functools.partial(adapt, source=source, keep_head=not transfer.new_head, log=log)
    dataset, old = fitted(dataset), None
    if transfer.rehearsal:
        old = fitted(data.load(transfer.rehearsal, data_dir=data_dir, log=log))
        examples, seed = transfer.rehearsal_examples, transfer.subset_seed
        old = old._replace(train=subset.fewer(old.train, examples, seed=seed, key="data.rehearsal_examples"))
        dataset = rehearse(dataset, old)
    return WarmStart(source, transfer.new_head, current, dataset, old)


def load(
    init_from: str, network: dict[str, dict[str, Any]], shape: tuple[int, ...], log: Callable[[str], Any]
) -> Predictor:
    """Loads a run: the state that its config.eval.checkpoint names, all of its seeds.

    Args:
      init_from: the run folder.
      network: of the plan of the run that begins with these weights.
      shape: of its images [H, W, 1].
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: not a run folder, or a run of another network or size of images.
      RunFolderError: the run has no checkpoint that can be used.
    """
    folder = Path(init_from).expanduser()
    if not (folder / "config.json").is_file():
        raise ConfigError(f"config.init_from={init_from} is not a run folder: name one that hwr_jax.main has written")
    source = predictor.load(folder, log=log)
    wanted, given = {**network, "shape": list(shape)}, {**source.plan.network, "shape": source.facts["shape"]}
    changes = [change for change in difference(given, wanted) if not change.startswith(FREE)]
    if changes:
        raise ConfigError(
            f"config.init_from={init_from} has another network, frame or size of images; make them equal "
            f"(there -> here): {', '.join(changes)}"
        )
    return source


def facts(init_from: str, source: Predictor) -> dict[str, str]:
    """Returns what environment.json records of the weights: their folder, and the SHA-256 of their values."""
    return {"folder": init_from, "sha256": digests.of_tree((source.params, source.model_state))}


def adapt(dataset: Dataset, source: Predictor, *, keep_head: bool, log: Callable[[str], Any] = print) -> Dataset:
    """Returns the data set as the weights expect it: standardised like the source's and, if the head is kept, with the
    source's classes.

    Raises:
      ConfigError: the head is kept, and the data set has a class that it does not know.
    """
    dataset = dataset._replace(mean=source.facts["mean"], std=source.facts["std"])
    return data.with_classes(dataset, source.classes, log=log) if keep_head else dataset


def rehearse(dataset: Dataset, old: Dataset) -> Dataset:
    """Adds the training images of `old` to those of `dataset`, against forgetting (Robins 1995).

    Raises:
      ConfigError: their classes or the sizes of their images differ.
    """
    if old.train.image.shape[1:] != dataset.train.image.shape[1:]:
        raise ConfigError(f"config.data.rehearsal={old.name} has images of another size than {dataset.name}")
    if old.classes != dataset.classes:
        raise ConfigError(
            f"config.data.rehearsal={old.name} has other classes than {dataset.name}: use a data set with the same ones"
        )
    pairs = zip(dataset.train, old.train, strict=True)
    return dataset._replace(train=Arrays(*(np.concatenate([np.asarray(a), np.asarray(b)]) for a, b in pairs)))


def _weights(run: Run, warm_start: WarmStart) -> tuple[Tree, Tree]:
    """(params, model_state) to begin with: the run's i-th seed takes the source's i-th, again from the first one where
    the source has fewer."""
    source = warm_start.source
    rows = (np.asarray(run.seeds) - run.plan.first_seed) % len(source.seeds)
    weights = jax.tree.map(lambda x: np.asarray(x)[rows], (source.params, source.model_state))
    return jax.device_put(weights, run.sharding)


def put_in(run: Run, state: TrainState, warm_start: WarmStart) -> TrainState:
    """Puts the weights into the state before step 0; a new output layer keeps its own, which are random."""
    params, model_state = _weights(run, warm_start)
    if warm_start.new_head:
        head = models.head_of(params)
        params = {**params, head: state.params[head]}
    average = {"params": params, "model_state": model_state} if state.average else {}
    return jax.tree.map(jnp.copy, state._replace(params=params, model_state=model_state, average=average))


def compare(run: Run, warm_start: WarmStart, after: tuple[Tree, Tree]) -> dict[str, Any]:
    """Returns the test accuracies before and after training, per seed, on the new data set and on the rehearsed one.

    Before: of the weights that the run began with; None with a new head, which knew nothing.
    """
    before, old = _weights(run, warm_start), warm_start.old

    def accuracy(weights: tuple[Tree, Tree], test: Arrays) -> list[float]:
        outputs = evaluation.on_host(run.programs.predict(*weights, on_device(run, test)))
        return [float(np.mean(metrics.right(o.pred, np.asarray(test.label)))) for o in outputs]

    return {
        dataset.name: {
            "before": None if warm_start.new_head else accuracy(before, dataset.test),
            "after": accuracy(after, dataset.test),
        }
        for dataset in (run.dataset, old)
        if dataset is not None
    }
