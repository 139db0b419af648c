"""From a config to what a job trains on: the checked config and its data, or those of its fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax import models
from hwr_jax.cli import console
from hwr_jax.config import check, configs, defaults, shipped
from hwr_jax.core.errors import DataMissing
from hwr_jax.core.types import Dataset
from hwr_jax.data import OWN, configured, own_lines
from hwr_jax.inference import predictor
from hwr_jax.steps import overrides, recipe

NAMED = {"data.name", "data.manual_dir"}  # whoever names the data gets it, or an error


class Experiment(NamedTuple):
    """A config that is resolved and checked, and its data."""

    path: str  # of the config's file, with :variant; "": it has none
    config: ConfigDict
    dataset: Dataset


def prepare(
    path: str,
    config: ConfigDict,
    given: Mapping[str, Any],
    data_dir: str | None,
    log: Callable[[str], Any],
    *,
    fallback: bool = True,
) -> Experiment:
    """Checks a config and loads its data; without its data, those of the config that it names as its fallback.

    Args:
      path: of the config's file, with :variant; "" if it has none.
      config: with the overrides.
      given: the overrides, flat. One that nothing reads is an error, and one of data.name or data.manual_dir rules
        the fallback out.
      data_dir: folder of tensorflow-datasets; None: the usual one.
      log: called with one line of text for the user at a time.
      fallback: whether the config's fallback may replace it. A config without a path has none.

    Raises:
      ConfigError: a value is not allowed, or an override has no effect.
      DataMissing: the data is nowhere, and there is no fallback; `.tried` lists the places and the reasons.
      DataError, OSError: see `data.load`.
    """
    try:
        return _load(path, config, given, data_dir, log)
    except DataMissing as missing:
        if not fallback or not path or config.data.fallback == "none" or NAMED & given.keys():
            raise
        other = shipped.beside(path, config.data.fallback)
        log(console.fallback_paragraph(configured.whose_files(config), missing.tried, other))
    _, colon, variant = path.partition(":")
    path, given = other + colon + variant, {key: value for key, value in given.items() if key != "data.fallback"}
    return _load(path, configs.load(path, given), given, data_dir, log)


def _load(
    path: str, config: ConfigDict, given: Mapping[str, Any], data_dir: str | None, log: Callable[[str], Any]
) -> Experiment:
    """Checks a config and loads its data. Of a user's own data, the config then says how many validation examples there
    really are, and how long the texts of the lines."""
    check.check(defaults.fill(config))
    overrides.check_overrides(config, given)
    dataset = configured.load(config, data_dir, log, named=given)
    if config.data.name == OWN:
        config.data.validation_examples = len(dataset.validation.label)
        if configured.reads_strings(config):
            config.data.strings.lengths = own_lines.lengths(dataset)
    return Experiment(path, config, dataset)


def layers(config: ConfigDict, classes: tuple[str, ...]) -> str:
    """Returns the table of a config's network, layer by layer, with parameters and FLOPs.

    Args:
      config: resolved and checked.
      classes: of its data; a network that keeps the output layer of another run has the classes of that run.
    """
    if config.init_from and config.transfer.head == "keep":
        classes = predictor.open_run(Path(config.init_from).expanduser())[1]["classes"]
    return models.describe(config.model, classes=len(classes), shape=(*recipe.shape_px(config), 1))
