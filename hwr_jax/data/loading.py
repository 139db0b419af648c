"""Data sets as verified arrays. Owns `load`, its names, and the order of the steps: find, cache, verify, split.

Does not shuffle, batch, standardise or augment: that is device code. Importing this package imports neither jax nor
tensorflow-datasets nor scikit-learn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core.errors import ConfigError, DataMissing
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import content, extra, find, noted, orientation, own_lines, rows, splits, strings, subset
from hwr_jax.data import drawn as drawn_digits
from hwr_jax.data import folder as own
from hwr_jax.data import negatives as none_of_them
from hwr_jax.data.sources import SOURCES, Source
from hwr_jax.pictures.tables import Reading

__all__ = ["DATASETS", "GLYPHS", "OWN", "SOURCES", "STRINGS", "DataMissing", "Reading", "load", "with_classes"]

OWN = "folder"  # a user's own pictures
STRINGS = "strings"  # composed from the glyphs of another data set
GLYPHS = (*SOURCES, OWN)
DATASETS = (*GLYPHS, STRINGS)
PLAIN = Reading()


def load(
    name: str,
    *,
    validation_examples: int | None = None,
    train_examples: int = 0,
    label_noise: float = 0.0,
    subset_seed: int = 0,
    layout: Mapping[str, Any] | None = None,
    negatives: int = 0,
    drawn: int = 0,
    stream: bool = False,
    reading: Reading = PLAIN,
    class_map: str = "",
    named: Collection[str] | None = None,
    whole: bool = False,
    frame: own_lines.Frame | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    log: Callable[[str], object] = print,
) -> Dataset:
    """A data set, verified bit for bit and split, from whichever place has it.

    >>> digits = load("digits")
    >>> digits.train.image.shape, len(digits.validation.label), len(digits.test.label)
    ((1097, 28, 28, 1), 200, 500)

    The places, in order: a folder that is an argument; the decoded cache; a TFDS folder (ArrayRecord or TFRecord); a
    folder with the original IDX files; the download. Data from the last two is also written to the TFDS folder, for
    every other user of TFDS. Whatever the place, the examples lie in the order of the original files, and test example
    i is the original's.

    Args:
        name: one of `DATASETS`.
        validation_examples: how many training examples become the validation split; None is the data
            set's own number (5,000 of MNIST's 60,000).
        train_examples: how many of the rest to keep, balanced (`subset.fewer`); 0: all.
        label_noise: share of the training labels to make wrong (`subset.with_wrong_labels`).
        subset_seed: the seed of these draws.
        negatives: how many images of the class `none` to add to the training set (`negatives.add`).
        drawn: how many digits drawn stroke by stroke to add to the training set (`drawn.add`).
        layout: of `strings`, `config.data.strings`; the arguments above are then those of its glyphs.
        stream: leave the training images on disk, in the decoded cache (`rows.Rows`), and read them while training.
        reading: of `folder`, and of glyphs from it: how tables and files of grey values are read.
        class_map: of `folder`: a file that renames the classes (`layouts.mapping`).
        named: the config keys that the user has set; `folder` may replace a number of validation examples that is not
            among them and does not fit. None: all.
        whole: of `folder`: load it for evaluation alone (see `folder.open_place`).
        frame: of `folder`: each picture is a line of writing with a text, for a network that takes such images; None:
            each is one character, which has a class.
        data_dir: TFDS's folder; None is `TFDS_DATA_DIR`, else TFDS's default `~/tensorflow_datasets`.
        manual_dir: a folder with the original files; None is `HWR_MNIST_DIR` (in general `HWR_<NAME>_DIR`), if set.
            Of `folder`: the user's folder or file (see `data/layouts.py`).
        cache_dir: None is `cache.default_cache_dir()`.
        log: called with one line of text for the user at a time.

    Returns:
        `Dataset`: image uint8 [N, 28, 28, 1], 0 = paper, 255 = ink; label int32 [N]; `mean` and `std` of the training
        pixels on the scale 0..1. Of `strings`, and of `folder` with `frame`: image uint8 [N, H, W, 1], label int32
        [N, L], padded with -1. The arrays may be read-only and mapped from the cache.

    Raises:
        ConfigError: `name`, `validation_examples` or `train_examples` is outside the allowed set.
        DataMissing: no place has the data; `.tried` lists the places and the reasons.
        DataError: something is there, but damaged.
    """
    if name not in DATASETS:
        raise ConfigError(f"config.data.name = {name!r}: allowed are {', '.join(DATASETS)}")
    if name == STRINGS:
        extra.refuse_for_strings(negatives=negatives, drawn=drawn)
        if layout is None:
            raise ConfigError("strings need a layout: config.data.strings of configs/base.py")
        glyphs = load(
            layout["glyphs"],
            validation_examples=validation_examples,
            train_examples=train_examples,
            label_noise=label_noise,
            subset_seed=subset_seed,
            reading=reading,
            class_map=class_map,
            named=named,
            data_dir=data_dir,
            manual_dir=manual_dir,
            cache_dir=cache_dir,
            log=log,
        )
        return strings.compose(glyphs, layout, cache_dir=cache_dir, log=log)
    if name == OWN:
        if frame is not None:
            extra.refuse_for_strings(negatives=negatives, drawn=drawn)
            subset.refuse_noise_for_strings(label_noise)
        return _own(
            *(manual_dir, reading, class_map, validation_examples, named),
            train_examples=train_examples,
            whole=whole,
            frame=frame,
            cache_dir=cache_dir,
            finish=lambda source, data, sha256, asked: _split(
                *(source, data, sha256, asked, train_examples, label_noise, subset_seed),
                negatives=negatives,
                drawn=drawn,
                stream=stream,
                log=log,
            ),
            log=log,
        )
    source = SOURCES[name]
    asked = source.validation_examples if validation_examples is None else validation_examples
    splits.check(asked, source.train_examples)
    places = find.Places(data_dir, manual_dir, cache_dir)
    data, sha256 = find.find(source, places, log=log)
    return _split(
        *(source, data, sha256, asked, train_examples, label_noise, subset_seed),
        negatives=negatives,
        drawn=drawn,
        stream=stream,
        log=log,
    )


def _own(
    manual_dir: str | Path | None,
    reading: Reading,
    class_map: str,
    validation_examples: int | None,
    named: Collection[str] | None,
    *,
    train_examples: int,
    whole: bool,
    frame: own_lines.Frame | None,
    cache_dir: str | Path | None,
    finish: Callable[[Source, content.Content, str, int], Dataset],
    log: Callable[[str], object],
) -> Dataset:
    """A user's own data set: its characters or, with `frame`, its lines."""
    if not manual_dir:
        raise ConfigError(
            "config.data.manual_dir is missing: name the folder or file of your pictures (or --manual_dir)"
        )
    place = Path(manual_dir).expanduser()
    if frame is None:
        mine = own.open_place(place, reading, class_map, name=OWN, whole=whole)
    else:
        mine = own_lines.open_place(place, reading, class_map, name=OWN, frame=frame, whole=whole)
    for note in mine.found.notes:
        log(note)
    own.refuse_splits(mine.source, named or ())
    asked = mine.source.own_validation
    if not asked and validation_examples is not None:
        adapt = named is not None and "data.validation_examples" not in named
        asked = own.validation_size(mine.source, validation_examples, adapt=adapt, log=log)
    if frame is not None:
        log(f"{place}: {own_lines.described(mine, None if whole else asked)}")
        convert = functools.partial(own_lines.converted, mine, frame, log=log)
        data, sha256 = noted.read(mine.source, convert, cache_dir=cache_dir, place=place, log=log)
        dataset = finish(mine.source, data, sha256, asked)
        if not whole:
            own_lines.check_trained(dataset, log)
            own.check_apart(dataset, log)
        return dataset
    if not whole:
        log(f"{place}: {own.sizes(mine.source, asked)}")
    convert = functools.partial(own.make, mine, log=log)
    data, sha256 = noted.read(mine.source, convert, cache_dir=cache_dir, place=place, log=log)
    dataset = finish(mine.source, data, sha256, asked)
    if not all(isinstance(item.picture, Path) for item in mine.found.items):
        every = Arrays(
            *(np.concatenate([a[: orientation.SAMPLE], b[: orientation.SAMPLE]]) for a, b in zip(*data, strict=True))
        )
        names = [dataset.classes[label] for label in every.label]
        if orientation.are_digits(names):
            known = load("digits", cache_dir=cache_dir, log=lambda line: None).train
            if words := orientation.warning(every.image[..., 0], names, known, reading.orientation):
                log(words)
    if not whole:
        label, refuse = np.asarray(dataset.train.label), named is not None
        own.check_trained(label, dataset.classes, train_examples=train_examples, refuse=refuse, log=log)
        own.check_apart(dataset, log)
    return dataset


def _split(
    source: Source,
    data: content.Content,
    sha256: str,
    validation_examples: int,
    train_examples: int,
    label_noise: float,
    subset_seed: int,
    *,
    negatives: int,
    drawn: int,
    stream: bool,
    log: Callable[[str], object],
) -> Dataset:
    """The data set of verified content: validation carved from train, and then what studies change of the rest."""
    train = data.train
    if stream:
        train = train._replace(image=rows.Rows(train.image, np.arange(len(train.label))))
    if source.own_validation:
        train, validation = splits.cut(train, source.own_validation)
    else:
        train, validation = splits.carve(train, validation_examples, stratified=source.stratified)
    train = subset.fewer(train, train_examples, seed=subset_seed)
    train = subset.with_wrong_labels(train, label_noise, classes=len(source.classes), seed=subset_seed)
    mean, std = content.moments(train.image)
    dataset = Dataset(
        *(source.name, source.version, sha256, train, validation, data.test, source.classes, mean, std),
        drawn_test=source.name == OWN and not source.own_test,
    )
    if drawn:
        dataset = drawn_digits.add(dataset, drawn, seed=subset_seed, log=log)
    return none_of_them.add(dataset, negatives, seed=subset_seed, log=log) if negatives else dataset


def with_classes(
    dataset: Dataset,
    classes: tuple[str, ...],
    *,
    log: Callable[[str], object] = print,
    hint: str = "",
) -> Dataset:
    """Returns the data set with its labels among `classes`, by name, for a model that was trained on those.

    The words zero to nine match the digits 0 to 9, which is logged. `hint` ends the error.

    Raises:
        ConfigError: it has a class that is not among them.

    >>> digits = load("digits", log=lambda line: None)
    >>> with_classes(digits, (*"0123456789", "none")).classes[-1]  # those of the model that comes with the package
    'none'
    """
    if dataset.classes == classes:
        return dataset
    same = {name: name if name in classes else _DIGITS.get(name.lower(), "") for name in dataset.classes}
    unknown = [name for name, other in same.items() if other not in classes]
    one, many, head = ("class", "classes", HEAD) if dataset.train.label.ndim == 1 else ("character", "characters", NEW)
    if unknown or len(set(same.values())) < len(same):
        which = (
            f"the {many if len(unknown) > 1 else one} {', '.join(map(repr, unknown[:SHOWN]))}"
            f"{', ...' if len(unknown) > SHOWN else ''}, which the model does not know"
            if unknown
            else "two names for one class of the model"
        )
        raise ConfigError(f"{dataset.name} has {which} (it knows {', '.join(classes)}): {hint or head}")
    if words := [f"{name} is {other}" for name, other in same.items() if name != other]:
        log(f"{dataset.name}: {', '.join(words)}")
    place = np.array([*(classes.index(same[name]) for name in dataset.classes), -1], np.int32)  # -1, behind a string
    train, validation, test = (
        Arrays(arrays.image, place[np.asarray(arrays.label)])
        for arrays in (dataset.train, dataset.validation, dataset.test)
    )
    named = dataset.named or dataset.classes
    return dataset._replace(train=train, validation=validation, test=test, classes=classes, named=named)


NEW = "to begin with its weights all the same, use --config.transfer.head=new"
HEAD = f"{NEW}; or rename them by config.data.class_map"
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {word: str(i) for i, word in enumerate(_WORDS)} | {str(i): word for i, word in enumerate(_WORDS)}
SHOWN = 5  # unknown classes that an error names
