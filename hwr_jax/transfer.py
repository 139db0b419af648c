"""A run that begins with the weights of another: which are taken, what the data must be, what is reported of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from hwr_jax import config as configs
from hwr_jax import data, evaluation, models, predictor
from hwr_jax.errors import ConfigError
from hwr_jax.predictor import Predictor
from hwr_jax.run import Run
from hwr_jax.types import Arrays, Dataset, TrainState, Tree


def load(config: ConfigDict, say: Callable[[str], Any]) -> Predictor:
    """Loads the run that `config.init_from` names: its state of config.eval.checkpoint, all of its seeds.

    Raises:
      ConfigError: it is no run folder, or of another network.
      RunFolderError: it has no checkpoint that can be used.
    """
    source = predictor.load(Path(config.init_from).expanduser(), say=say)
    changes = configs.difference(source.config.model.to_dict(), config.model.to_dict())
    changes = [change for change in changes if not change.startswith(("dropout:", "precision:", "convolution:"))]
    if changes:
        raise ConfigError(
            f"config.init_from={config.init_from} has another network; make config.model the same "
            f"(there -> here): {', '.join(changes)}"
        )
    return source


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
    if old.classes != dataset.classes:
        raise ConfigError(
            f"config.data.rehearsal={old.name} has other classes than {dataset.name}: rehearse a data set with the same"
        )
    pairs = zip(dataset.train, old.train, strict=True)
    return dataset._replace(train=Arrays(*(np.concatenate([np.asarray(a), np.asarray(b)]) for a, b in pairs)))


def begin(run: Run, state: TrainState, source: Predictor) -> TrainState:
    """Puts the source's weights into the state before step 0; seed i takes those of the source's i-th seed, over again
    where it has fewer. With transfer.head=new the output layer keeps its first, random, weights."""
    rows = np.arange(len(run.seeds)) % len(source.seeds)
    params, model_state = jax.tree.map(lambda x: jnp.asarray(x)[rows], (source.params, source.model_state))
    if run.config.transfer.head == "new":
        head = models.head_of(params)
        params = {**params, head: state.params[head]}
    average = {"params": params, "model_state": model_state} if state.average else {}
    begun = state._replace(params=params, model_state=model_state, average=average)
    return jax.tree.map(jnp.copy, jax.device_put(begun, run.sharding))


def compare(run: Run, source: Predictor, after: tuple[Tree, Tree], old: Dataset | None) -> dict[str, Any]:
    """Returns the test accuracies before and after, per seed, on the new data set and on the old one, if any.

    Before: of the source's weights; None with a new head, which knew nothing.
    """
    rows = np.arange(len(run.seeds)) % len(source.seeds)
    before = jax.tree.map(lambda x: jnp.asarray(x)[rows], (source.params, source.model_state))
    known = run.config.transfer.head == "keep"

    def accuracy(weights: tuple[Tree, Tree], test: Arrays) -> list[float]:
        outputs = evaluation.on_host(run.programs.predict(*weights, Arrays(*map(np.asarray, test))))
        return [float(np.mean(o.pred == np.asarray(test.label))) for o in outputs]

    sets = {run.dataset.name: run.dataset} | ({old.name: old} if old is not None and known else {})
    return {
        name: {"before": accuracy(before, one.test) if known else None, "after": accuracy(after, one.test)}
        for name, one in sets.items()
    }
