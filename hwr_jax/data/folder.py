"""A user's own labelled pictures as a data set: its classes, its splits, and its identity. `layouts` finds the
pictures, `pictures/` reads them.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.core.printable import line as shown
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import splits
from hwr_jax.data.content import Content
from hwr_jax.data.layouts import Found, Item, counted, find, in_order, listed
from hwr_jax.data.progress import track
from hwr_jax.data.sources import IMAGE_SHAPE, Source
from hwr_jax.pictures import inputs
from hwr_jax.pictures.tables import Reading

TEST_PART = 5  # one in five pictures goes to the test split, unless the user made one
VALIDATION_PART = 6  # of the others, one in six is for validation, where the config's number does not fit
FEW = 5  # a class with fewer training pictures is worth a warning
SHOWN = 3  # how many pictures a message names
HASHED_BYTES = 2**30  # larger data sets are identified by the sizes and times of their files, not by their content


class Own(NamedTuple):
    """A user's data set, whose pictures have not been read yet."""

    source: Source
    found: Found
    transposed: bool = False  # whether pictures are to be transposed too; grey values are already


def open_place(place: Path, reading: Reading, class_map: str, *, name: str, whole: bool) -> Own:
    """Lists a user's data set, and decides on its classes and splits.

    Args:
        place, reading, class_map: see `layouts.find`.
        name: of the data set.
        whole: for evaluation alone: one class will do, none of them needs training pictures, and there may be too few
            pictures for a test split.

    Raises:
        ConfigError, DataError, OSError: see `layouts.find` and `describe`.
    """
    found = find(place, reading, class_map)
    transposed = reading.orientation == "transposed"
    check_repeated(found.items, found.notes)
    source = describe(name, place, found.items, whole=whole, transposed=transposed)
    return Own(source, found, transposed)


def describe(name: str, place: Path, found: list[Item], *, whole: bool = False, transposed: bool = False) -> Source:
    """Returns the facts about the data set: classes in order (numbers by value), sizes, and a version that changes with
    the content of any file, with its name, and with how it is read.

    Args:
        name: of the data set.
        place: for messages.
        found: the examples.
        whole: see `open_place`.
        transposed: see `Own`.

    Raises:
        DataError: a file that is missing, a class whose name cannot be written, fewer than two classes, or one that is
            not in the training split. With `whole` (see `open_place`) only the first two, or a place without pictures.
    """
    classes = tuple(sorted({item.label for item in found}, key=in_order))
    if not classes:
        raise DataError(f"{place} holds no picture")
    if wrong := [name for name in classes if any(unicodedata.category(c) in ("Cc", "Cs") for c in name)]:
        raise DataError(
            f"{place}: the class {shown(wrong[0])!r} has a name that cannot be shown or is not UTF-8: rename it"
        )
    identity = version(found, functools.partial(_said, transposed=transposed))
    if len(classes) < 2 and not whole:
        raise DataError(f"{place} has {len(classes)} class, and a data set needs at least 2: {', '.join(classes)}")
    split = Counter(item.split or "train" for item in found)
    if not whole:
        check_train(place, split)
    trained = {item.label for item in found if item.split in ("", "train")}
    if (absent := [label for label in classes if label not in trained]) and not whole:
        where = {item.split for item in found if item.label == absent[0]}
        raise DataError(
            f"{place} has pictures of the class {absent[0]} only in {' and '.join(sorted(where))}: add some to train"
        )
    test = test_size(place, split, whole=whole)
    return Source(
        *(name, identity, classes, len(found) - test, test, 0, None),
        stratified=True,
        own_validation=split["validation"],
        own_test=bool(split["test"]),
    )


def check_repeated(items: Iterable[Item], notes: list[str]) -> None:
    """Notes picture files that are named twice with one label.

    Raises:
        DataError: the two labels differ.
    """
    before: dict[Path, Item] = {}
    twice = []
    for item in items:
        if not isinstance(item.picture, Path) or (other := before.setdefault(item.picture, item)) is item:
            continue
        if other.label != item.label:
            raise DataError(
                f"{item.name}: {item.picture.name} is {shown(item.label)!r} here, and "
                f"{shown(other.label)!r} in {other.name}: correct one of them"
            )
        twice.append(item.name)
    if twice:
        notes.append(
            f"Warning: {counted(len(twice), 'picture')} {'is' if len(twice) == 1 else 'are'} named more than once: "
            f"{first_of(twice)}"
        )


def check_train(place: Path, split: Counter[str]) -> None:
    """Raises DataError if no example is for training. `split` counts the examples of each split."""
    if not split["train"]:
        raise DataError(f"{place} has pictures for {', '.join(sorted(split))} only: add a split train")


def test_size(place: Path, split: Counter[str], *, whole: bool) -> int:
    """Returns how many examples are for test: the user's own, or as many as are drawn from those for training.

    Raises:
        DataError: there are too few, unless `whole` (see `open_place`).
    """
    test = split["test"] or split["train"] // TEST_PART
    if test in (0, split.total()) and not whole:
        raise DataError(f"{place} has {split.total()} pictures: too few for a training and a test split")
    return test


def make(own: Own, *, log: Callable[[str], object]) -> tuple[Content, list[str]]:
    """Reads and converts every picture; returns the content, and a sentence for what speaks against some of them. The
    user's own validation examples are the last ones of train.

    Raises:
        DataError: pictures that cannot be used; the sentence names the first ones.
    """
    found, source = own.found.items, own.source
    image, wrong, several = np.zeros((len(found), *IMAGE_SHAPE), np.uint8), [], []
    text = f"Converting {len(found):,} pictures (once)"
    for i, item in enumerate(track(found, text=text, total=len(found), log=log)):
        try:
            one = inputs.to_input(item.picture, None)
        except (DataError, OSError) as error:
            of_table = not isinstance(item.picture, Path)
            wrong.append(f"{item.name}: {error}" if of_table else reason(item.picture, error))
            continue
        image[i, :, :, 0] = one.image.T if own.transposed and isinstance(item.picture, Path) else one.image
        if one.characters > 1:
            several.append(f"{item.name} ({one.characters})")
    refuse_unread(wrong, len(found))
    place = {label: i for i, label in enumerate(source.classes)}
    notes = []
    if several:
        notes.append(
            f"Warning: {len(several)} of {len(found)} pictures seem to hold several characters, of which the heaviest "
            f"near the middle is taken: {first_of(several)}"
        )
    return divided(own, image, np.array([place[item.label] for item in found], np.int32)), notes


def refuse_unread(wrong: list[str], total: int) -> None:
    """Raises DataError if pictures cannot be used: `wrong` has a sentence for each."""
    if wrong:
        raise DataError(
            f"{len(wrong)} of {total} pictures cannot be used; remove or fix them: {'; '.join(wrong[:SHOWN])}"
            + ("; ..." if len(wrong) > SHOWN else "")
        )


def divided(own: Own, image: np.ndarray, label: np.ndarray) -> Content:
    """Divides examples into train and test; the user's own validation examples are the last ones of train.

    Args:
        own: says of each whose split it is in.
        image, label: uint8 [N, H, W, 1] and int32 [N] of its pictures, in order.
    """
    every, source = Arrays(image, label), own.source
    split = np.array([item.split or "train" for item in own.found.items])
    train, validation, test = (_part(every, split == name) for name in ("train", "validation", "test"))
    if not source.own_test:
        train, test = splits.carve(train, source.test_examples, stratified=source.stratified)
    if len(validation.label):
        train = Arrays(*(np.concatenate(pair) for pair in zip(train, validation, strict=True)))
    return Content(train, test)


def validation_size(source: Source, asked: int, *, adapt: bool, log: Callable[[str], object]) -> int:
    """Returns how many training examples are for validation: the user's own split, or `asked`, or a sixth where the
    latter does not fit and `adapt` allows another number.

    Args:
        source: from `describe`.
        asked: config.data.validation_examples.
        adapt: whether the number is only the default of a config.
        log: called with a sentence if another number is chosen.

    Raises:
        ConfigError: the number does not fit, and was asked for.
    """
    if source.own_validation:
        return source.own_validation
    there = source.train_examples
    if not adapt or asked <= there // 2:
        splits.check(asked, there)
        return asked
    one_each = min(len(source.classes), there // 4) if source.stratified else 1
    some = max(1, there // VALIDATION_PART, one_each)
    log(
        f"Validation takes {some} of the {there} training pictures: the config's {asked:,} would leave too few to "
        "train on (--config.data.validation_examples sets another number)"
    )
    return some


def check_trained(
    label: np.ndarray,
    classes: tuple[str, ...],
    *,
    train_examples: int,
    refuse: bool,
    log: Callable[[str], object],
) -> None:
    """Logs a warning about classes with fewer than FEW training examples.

    Args:
        label: of the training examples, int32 [N].
        classes: their names.
        train_examples: the config's, which kept N of them; 0: all.
        refuse: whether each class must have one.
        log: called with the warning.

    Raises:
        ConfigError: `train_examples` is less than one of each class, and `refuse` is set.
        DataError: a class has none, and `refuse` is set.
    """
    counts = np.bincount(label, minlength=len(classes))
    absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if absent and refuse:
        which = f"{'class' if len(absent) == 1 else 'classes'} {', '.join(absent)}"
        if 0 < train_examples < len(classes):
            raise ConfigError(
                f"config.data.train_examples={train_examples} leaves no training picture of the {which}: use at least "
                f"{len(classes)}, one of each class, or 0 for all"
            )
        raise DataError(
            f"no training picture is left of the {which}, after some were drawn for validation and test: add pictures"
        )
    few = [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if count < FEW]
    if few:
        log(f"Warning: classes with fewer than {FEW} training pictures: {', '.join(few)}")


def check_apart(dataset: Dataset, log: Callable[[str], object]) -> None:
    """Logs a warning if images for validation or test are among those to train on: they measure what was learnt by
    heart."""
    trained = {hashlib.sha256(image.tobytes()).digest() for image in dataset.train.image}
    for split in ("validation", "test"):
        images = getattr(dataset, split).image
        twice = sum(hashlib.sha256(image.tobytes()).digest() in trained for image in images)
        if twice:
            log(
                f"Warning: {twice:,} of the {counted(len(images), 'picture')} for {split} look exactly like one to "
                "train on, so the accuracy on them says little about new pictures"
            )


def sizes(source: Source, validation: int) -> str:
    """Returns a sentence that says which examples of a user's data set are for what, and who decided it."""
    classes = ", ".join(source.classes[:12]) + (", ..." if len(source.classes) > 12 else "")
    return f"{len(source.classes)} classes ({classes}), {divided_words(source, validation, 'pictures')}"


def divided_words(source: Source, validation: int, noun: str) -> str:
    """Returns how many examples, called `noun`, are to train on, for validation and for test, and who decided it."""
    mine = [("validation", validation, bool(source.own_validation)), ("test", source.test_examples, source.own_test)]
    words = [f"{count:,} for {name} ({'your own split' if own else 'drawn'})" for name, count, own in mine]
    return f"{source.train_examples - validation:,} {noun} to train on, {words[0]}, {words[1]}"


def _part(every: Arrays, mask: np.ndarray) -> Arrays:
    return Arrays(every.image[mask], every.label[mask])


def reason(path: Path, error: Exception) -> str:
    """Returns why a picture file cannot be used, with its name."""
    return str(error) if isinstance(error, DataError) else f"{path}: {getattr(error, 'strerror', None) or error}"


def _said(item: Item, *, transposed: bool = False) -> bytes:
    turned = "/transposed" if transposed and isinstance(item.picture, Path) else ""  # grey values are turned already
    return f"{item.split}/{item.label}/{Path(item.name).name}{turned}".encode(errors="surrogateescape")


def version(found: list[Item], said: Callable[[Item], bytes] = _said) -> str:
    """Returns a digest of the pictures, in order, with what `said` gives for each: by default name, label and split.

    Raises:
        DataError: pictures that cannot be read; the sentence names the first ones.
    """
    stamps, unread = {}, []
    for picture in (item.picture for item in found if isinstance(item.picture, Path)):
        try:
            stamps[picture] = _stamp(picture)
        except OSError as error:
            unread.append(f"{picture}: {error.strerror}")
    if unread:
        more = "; ..." if len(unread) > SHOWN else ""
        raise DataError(f"{len(unread)} of {len(found)} pictures cannot be read: {'; '.join(unread[:SHOWN])}{more}")
    hashed = sum(stamp[0] for stamp in stamps.values()) <= HASHED_BYTES
    digest = hashlib.sha256()
    for item in found:
        digest.update(said(item))
        if not isinstance(item.picture, Path):
            digest.update(item.picture.tobytes())
        elif hashed:
            digest.update(_content(item.picture))
        else:
            digest.update(repr(stamps[item.picture]).encode())
    return digest.hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int, int]:
    """Size and times of a file: the time of its last change cannot be set back, as that of its content can."""
    about = path.stat()
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def first_of(names: Sequence[str]) -> str:
    """Returns the first SHOWN of some names, for a message."""
    return listed(names, SHOWN)


def refuse_splits(source: Source, named: Iterable[str]) -> None:
    """Raises ConfigError for a number of validation examples that was asked for, where the user has a split of them."""
    if source.own_validation and "data.validation_examples" in named:
        raise ConfigError(
            "config.data.validation_examples has no effect: the data set has a validation split of its own, of "
            f"{source.own_validation} pictures"
        )
