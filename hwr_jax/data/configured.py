"""The data of a config, or of a run, wherever it lies on this machine. The only file of data/ that reads a config."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.core.errors import DataError
from hwr_jax.core.networks import READERS
from hwr_jax.core.types import Dataset
from hwr_jax.data import find, loading
from hwr_jax.data.own_lines import Frame

Log = Callable[[str], Any]


def load(
    config: ConfigDict,
    data_dir: str | None,
    log: Log,
    *,
    manual_dir: str | None = None,
    named: Collection[str] | None = (),
) -> Dataset:
    """Loads the data set of a config.

    Args:
      config: resolved and checked.
      data_dir: folder of tensorflow-datasets; None: the usual one.
      log: called with one line of text for the user at a time.
      manual_dir: folder with the original files, "" for none; None: the config's.
      named: the keys that the user has set: of a user's own data, another number of validation examples is chosen if
        the config's does not fit and is not among them. None: all.

    Raises:
      ConfigError, DataMissing, DataError, OSError: see `loading.load`.
    """
    return loading.load(
        config.data.name,
        validation_examples=config.data.validation_examples,
        train_examples=config.data.train_examples,
        label_noise=config.data.label_noise,
        subset_seed=config.data.subset_seed,
        layout=config.data.strings.to_dict(),
        negatives=config.data.negatives,
        drawn=config.data.drawn,
        stream=config.data.stream,
        reading=reading(config),
        class_map=config.data.class_map,
        named=named,
        frame=frame(config),
        data_dir=data_dir,
        manual_dir=(config.data.manual_dir if manual_dir is None else manual_dir) or None,
        log=log,
    )


def load_other(
    config: ConfigDict,
    name: str,
    data_dir: str | None,
    log: Log,
    *,
    manual_dir: str = "",
    given: loading.Reading | None = None,
    class_map: str = "",
) -> Dataset:
    """Loads another data set than that of a config, to evaluate its model on.

    Args:
      config, data_dir, log: see `load`. Nothing that it says about its own training set holds for the other one, except
        the layout of strings.
      name: of the data set.
      manual_dir, given, class_map: of the data set; None: as files are read by default.

    Raises:
      ConfigError, DataMissing, DataError, OSError: see `loading.load`.
    """
    return loading.load(
        name,
        layout=config.data.strings.to_dict(),
        reading=given or loading.PLAIN,
        class_map=class_map,
        whole=name == loading.OWN,
        frame=_frame(config) if name == loading.OWN and reads_strings(config) else None,
        data_dir=data_dir,
        manual_dir=manual_dir or None,
        log=log,
    )


def reading(config: ConfigDict) -> loading.Reading:
    """Returns how a config says that files of grey values and tables are read."""
    return loading.Reading(config.data.label_column, config.data.pixel_scale, config.data.orientation)


def reads_strings(config: ConfigDict) -> bool:
    """Returns whether the labels of a config's data are strings: of a user's own data the network decides, and never
    the look of the labels."""
    return config.data.name == loading.STRINGS or (config.data.name == loading.OWN and config.model.name in READERS)


def frame(config: ConfigDict) -> Frame | None:
    """Returns what the network takes of a user's own lines; None: the config has other data."""
    return _frame(config) if config.data.name == loading.OWN and reads_strings(config) else None


def _frame(config: ConfigDict) -> Frame:
    size = config.data.strings
    return Frame(size.height_px, size.width_px, config.model.column_px, config.frame.crop_px)


def identity(config: ConfigDict) -> str:
    """Returns a string that is the same for all configs of which `load` reads the same, and so returns the same data
    set: beside config.data, what the network takes of a user's own lines decides which of these are refused."""
    return f"{json.dumps(config.data.to_dict(), sort_keys=True)} {frame(config)}"


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
      DataError: the data, or what its classes are called, has changed since the run was trained.
      ConfigError, OSError: see `loading.load`.
    """
    place, whose = manual_dir or config.data.manual_dir, whose_files(config)
    if place and not manual_dir and whose != loading.OWN:  # where it was, perhaps on another machine
        source = loading.SOURCES[whose]
        if find.missing(source, Path(place).expanduser()) is not None:
            place = ""
    dataset = load(config, data_dir, log, manual_dir=place, named=None)
    there = f"{whose} in {place}" if whose == loading.OWN else whose
    other = "; to evaluate on other pictures add --dataset=folder" if whose == loading.OWN and manual_dir else ""
    if dataset.sha256 != facts["sha256"]:
        raise DataError(
            f"{there} has changed since this run was trained: SHA-256 {dataset.sha256}, then {facts['sha256']}{other}"
        )
    before = facts.get("named", facts["classes"])
    kept = config.init_from and config.transfer.head == "keep" and "named" not in facts  # of another run
    if not kept and list(dataset.classes) != list(before):
        raise DataError(
            f"the classes of {there} are called {', '.join(dataset.classes)}, and were {', '.join(before)} when this "
            f"run was trained{other}"
        )
    return dataset


def whose_files(config: ConfigDict) -> str:
    """Returns the name of the data set whose original files a config needs: for strings, that of their glyphs."""
    return config.data.strings.glyphs if config.data.name == loading.STRINGS else config.data.name
