"""The data of a config, or of a run, wherever it lies on this machine. The only file of data/ that reads a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.core.errors import DataError
from hwr_jax.core.types import Dataset
from hwr_jax.data import loading

Log = Callable[[str], Any]


def load(
    config: ConfigDict, data_dir: str | None, log: Log, *, name: str = "", manual_dir: str | None = None
) -> Dataset:
    """Loads the data set of a config, or another one for the same model.

    Args:
      config: resolved and checked. What it says about the training set holds for its own data set only.
      data_dir: folder of tensorflow-datasets; None: the usual one.
      log: called with one line of text for the user at a time.
      name: of the data set; "": the config's.
      manual_dir: folder with the original files, "" for none; None: the config's.

    Raises:
      ConfigError, DataMissing, DataError, OSError: see `loading.load`.
    """
    own = name in ("", config.data.name)
    return loading.load(
        name or config.data.name,
        validation_examples=config.data.validation_examples if own else None,
        train_examples=config.data.train_examples if own else 0,
        label_noise=config.data.label_noise if own else 0.0,
        subset_seed=config.data.subset_seed,
        layout=config.data.strings.to_dict(),
        stream=config.data.stream and own,
        data_dir=data_dir,
        manual_dir=(config.data.manual_dir if manual_dir is None else manual_dir) or None,
        log=log,
    )


class Loader(NamedTuple):
    """`load` as a function of the config alone, which can be sent to other processes."""

    data_dir: str | None
    quiet: bool = True

    def __call__(self, config: ConfigDict) -> Dataset:
        """Returns the config's data set."""
        return load(config, self.data_dir, (lambda line: None) if self.quiet else print)


def load_of_run(
    config: ConfigDict, facts: Mapping[str, Any], data_dir: str | None, log: Log, *, manual_dir: str = ""
) -> Dataset:
    """Loads the data set that a run was trained on, which may have been on another machine.

    Args:
      config, data_dir, log: see `load`.
      facts: about the data, from environment.json.
      manual_dir: folder with the original files; "": the config's, if this machine has it.

    Raises:
      DataError: the data has changed since the run was trained.
      ConfigError, OSError: see `loading.load`.
    """
    place = manual_dir or config.data.manual_dir
    if not manual_dir and whose_files(config) != loading.OWN and not Path(place).is_dir():
        place = ""
    dataset = load(config, data_dir, log, manual_dir=place)
    if dataset.sha256 != facts["sha256"]:
        raise DataError(
            f"{config.data.name} has changed since this run was trained: SHA-256 {dataset.sha256}, then "
            f"{facts['sha256']}"
        )
    return dataset


def whose_files(config: ConfigDict) -> str:
    """Returns the name of the data set whose original files a config needs: for strings, that of their glyphs."""
    return config.data.strings.glyphs if config.data.name == loading.STRINGS else config.data.name
