"""The plan: what the host needs of a config. The recipe is its twin for the device; no file of training/ or inference/
reads a config itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.config import check
from hwr_jax.data.configured import reads_strings


class Transfer(NamedTuple):
    """The weights that a run begins with in place of random ones, and what it rehearses."""

    init_from: str  # run folder of those weights
    new_head: bool  # the output layer keeps its random weights
    rehearsal: str  # data set whose images are trained on too; "": none
    rehearsal_examples: int  # how many of its training images, as many of each class; 0: all
    subset_seed: int  # of the draw of those images


class Plan(NamedTuple):
    """What the loop on the host, the run folder and the predictor need to know of a config."""

    name: str  # of the network, for titles
    network: dict[str, dict[str, Any]]  # config.model and config.frame: what weights must fit
    transfer: Transfer | None  # None: random weights
    first_seed: int  # seed i of the run is first_seed + i
    epochs: int  # passes over the training set
    batch_size: int  # images per optimiser step, over all devices of a group
    steps_per_dispatch: int  # optimiser steps per dispatch; in between, the host handles signals and the bar
    stream: bool  # the training images are read from disk
    learning_rate: float  # the highest of the schedule, for the messages of errors
    nonfinite: str  # halt, skip, rollback
    nonfinite_limit: int  # consecutive skipped updates, or rollbacks, before the run halts
    patience_epochs: int  # a seed stops after this many epochs without a better validation accuracy; 0: never
    checkpoint: str  # the state that is evaluated: last, best (on validation)
    keep: int  # checkpoints kept on disk
    every_epochs: int  # epochs between two checkpoints
    reads_strings: bool  # the network reads strings, not one class per image
    beam: int  # strings: prefixes of the beam search; 1: the most probable path
    longest: int  # strings: characters of the longest one in the training set; 0: not known, or no strings
    eval_batch: int  # images evaluated at a time


def make_plan(config: ConfigDict) -> Plan:
    """Makes the plan of a checked config."""
    transfer = Transfer(
        init_from=config.init_from,
        new_head=config.transfer.head == "new",
        rehearsal=config.data.rehearsal,
        rehearsal_examples=config.data.rehearsal_examples,
        subset_seed=config.data.subset_seed,
    )
    return Plan(
        name=config.model.name,
        network={"model": config.model.to_dict(), "frame": config.frame.to_dict()},
        transfer=transfer if config.init_from else None,
        first_seed=config.seed,
        epochs=config.epochs,
        batch_size=config.batch_size,
        steps_per_dispatch=config.steps_per_dispatch,
        stream=config.data.stream,
        learning_rate=config.optim.learning_rate,
        nonfinite=config.nonfinite.policy,
        nonfinite_limit=config.nonfinite.limit,
        patience_epochs=config.eval.patience_epochs,
        checkpoint=config.eval.checkpoint,
        keep=config.checkpoint.keep,
        every_epochs=config.checkpoint.every_epochs,
        reads_strings=reads_strings(config),
        beam=config.eval.beam,
        longest=max(config.data.strings.lengths) if reads_strings(config) else 0,
        eval_batch=config.eval.batch_size,
    )


def with_reading(config: ConfigDict, given: Mapping[str, int]) -> ConfigDict:
    """Returns the config with other values of `eval.beam` or `eval.shift_px`, checked.

    Raises:
      ConfigError: a value that is not allowed.
    """
    config = config.copy_and_resolve_references()
    config.eval.update(given)
    check.check(config)
    return config
