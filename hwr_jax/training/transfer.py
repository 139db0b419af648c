"""A run that begins with the weights of another: which are taken, what the data must be, what is reported of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from hwr_jax import data, models
from hwr_jax.config import file as configs
from hwr_jax.core import digests
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Dataset, TrainState, Tree
from hwr_jax.data import subset
from hwr_jax.inference import evaluation, predictor
from hwr_jax.inference.predictor import Predictor
from hwr_jax.steps import recipe
from hwr_jax.steps.run import Run, on_device
from hwr_jax.tasks import metrics
from hwr_jax.workdir import run_folder

FREE = ("model.dropout:", "model.precision:", "model.convolution:", "model.initializer:")  # may differ


class WarmStart(NamedTuple):
    """What a run needs that begins with the weights of another one."""

    source: Predictor
    facts: dict[str, str]  # of the weights, for environment.json
    dataset: Dataset  # fitted to the weights, with what is rehearsed
    old: Dataset | None  # what is rehearsed


def prepare(
    config: ConfigDict, dataset: Dataset, resumed: Path | None, data_dir: str | None, log: Callable[[str], Any]
) -> WarmStart:
    """Loads the weights to begin with, and fits the data set to them.

    Args:
      config: with `init_from`.
      dataset: to train on.
      resumed: the run folder of a run that goes on; it must have begun with the same weights.
      data_dir: of tensorflow-datasets; None: the usual one.
      log: called with one line of text for the user at a time.

    Raises:
      ConfigError: see `load`, `adapt` and `rehearse`; or the weights are not those that the run began with.
      RunFolderError: there is no checkpoint that can be used.
    """
    source, old = load(config, log), None
    found = facts(config, source)
    if resumed and (before := run_folder.read_json(resumed, "environment.json").get("init_from")) != found:
        raise ConfigError(
            f"the run {config.init_from}, which {resumed} began with, has changed since (SHA-256 of its weights "
            f"{found['sha256'][:12]}, then {(before or found)['sha256'][:12]}): --overwrite begins afresh"
        )
    keep = config.transfer.head == "keep"
    dataset = adapt(dataset, source, keep_head=keep)
    if name := config.data.rehearsal:
        old = adapt(data.load(name, data_dir=data_dir, log=log), source, keep_head=keep)
        some, seed = config.data.rehearsal_examples, config.data.subset_seed
        old = old._replace(train=subset.fewer(old.train, some, seed=seed, key="data.rehearsal_examples"))
        dataset = rehearse(dataset, old)
    return WarmStart(source, found, dataset, old)


def load(config: ConfigDict, log: Callable[[str], Any]) -> Predictor:
    """Loads the run that `config.init_from` names: its state of config.eval.checkpoint, all of its seeds.

    Raises:
      ConfigError: it is no run folder, or of another network or size of pictures.
      RunFolderError: it has no checkpoint that can be used.
    """
    folder = Path(config.init_from).expanduser()
    if not (folder / "config.json").is_file():
        raise ConfigError(f"config.init_from={config.init_from} is no run folder: name one that the main job has left")
    source = predictor.load(folder, log=log)
    there, here = ({"model": c.model.to_dict(), "frame": c.frame.to_dict()} for c in (source.config, config))
    there["shape"], here["shape"] = source.facts["shape"], [*recipe.whole_px(config), 1]
    changes = [c for c in configs.difference(there, here) if not c.startswith(FREE)]
    if changes:
        raise ConfigError(
            f"config.init_from={config.init_from} has another network, frame or size of pictures; make them the same "
            f"(there -> here): {', '.join(changes)}"
        )
    return source


def facts(config: ConfigDict, source: Predictor) -> dict[str, str]:
    """Returns what environment.json keeps of the weights: where they were, and the SHA-256 of their values."""
    return {"folder": config.init_from, "sha256": digests.of_tree((source.params, source.model_state))}


def adapt(dataset: Dataset, source: Predictor, *, keep_head: bool) -> Dataset:
    """Returns the data set as the weights expect it: standardised as the source was and, where the head is kept, with
    the source's classes.

    Raises:
      ConfigError: the head is kept, and there is a class that it does not know.
    """
    dataset = dataset._replace(mean=source.facts["mean"], std=source.facts["std"])
    return data.with_classes(dataset, source.classes) if keep_head else dataset


def rehearse(dataset: Dataset, old: Dataset) -> Dataset:
    """Adds the training images of `old` to those of `dataset`, against forgetting (Robins 1995).

    Raises:
      ConfigError: their classes differ.
    """
    if old.train.image.shape[1:] != dataset.train.image.shape[1:]:
        raise ConfigError(f"config.data.rehearsal={old.name} has pictures of another size than {dataset.name}")
    if old.classes != dataset.classes:
        raise ConfigError(
            f"config.data.rehearsal={old.name} has other classes than {dataset.name}: rehearse a data set with the same"
        )
    pairs = zip(dataset.train, old.train, strict=True)
    return dataset._replace(train=Arrays(*(np.concatenate([np.asarray(a), np.asarray(b)]) for a, b in pairs)))


def _rows(run: Run, source: Predictor) -> np.ndarray:
    """Which of the source's seeds each seed begins with."""
    return (np.asarray(run.seeds) - run.config.seed) % len(source.seeds)


def put_in(run: Run, state: TrainState, source: Predictor) -> TrainState:
    """Puts the source's weights into the state before step 0; the i-th seed from config.seed on takes those of the
    source's i-th seed, over again where it has fewer. With transfer.head=new the output layer keeps its first weights,
    which are random."""
    rows = _rows(run, source)
    weights = jax.tree.map(lambda x: np.asarray(x)[rows], (source.params, source.model_state))
    params, model_state = jax.device_put(weights, run.sharding)
    if run.config.transfer.head == "new":
        head = models.head_of(params)
        params = {**params, head: state.params[head]}
    average = {"params": params, "model_state": model_state} if state.average else {}
    begun = state._replace(params=params, model_state=model_state, average=average)
    return jax.tree.map(jnp.copy, begun)


def compare(run: Run, source: Predictor, after: tuple[Tree, Tree], old: Dataset | None) -> dict[str, Any]:
    """Returns the test accuracies before and after, per seed, on the new data set and on the old one, if any.

    Before: of the source's weights; None with a new head, which knew nothing.
    """
    rows = _rows(run, source)
    before = jax.tree.map(lambda x: np.asarray(x)[rows], (source.params, source.model_state))
    before = jax.device_put(before, run.sharding)
    known = run.config.transfer.head == "keep"

    def accuracy(weights: tuple[Tree, Tree], test: Arrays) -> list[float]:
        outputs = evaluation.on_host(run.programs.predict(*weights, on_device(run, test)))
        return [float(np.mean(metrics.right(o.pred, np.asarray(test.label)))) for o in outputs]

    sets = {run.dataset.name: run.dataset} | ({old.name: old} if old is not None else {})
    return {
        name: {"before": accuracy(before, one.test) if known else None, "after": accuracy(after, one.test)}
        for name, one in sets.items()
    }
