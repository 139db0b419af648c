"""A user's own lines of writing as a data set: their texts, characters and splits, its identity, and its images.

For networks that read strings; `folder` is its twin for those that name one class. `line_layouts` finds the lines.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.core.printable import line as shown
from hwr_jax.core.types import Dataset
from hwr_jax.data import folder, line_layouts
from hwr_jax.data.content import Content
from hwr_jax.data.folder import FEW, Own, first_of
from hwr_jax.data.layouts import Found, Item, counted
from hwr_jax.data.progress import track
from hwr_jax.data.sources import Source
from hwr_jax.pictures import inputs, normalise
from hwr_jax.pictures.tables import Reading

VERSION = "1"  # of what is made of the same pictures and texts
LISTED = 200  # characters in a message


class Frame(NamedTuple):
    """What the network takes: how large the image of a line is, and how many time steps read it."""

    height_px: int
    width_px: int
    column_px: int  # of a time step
    crop_px: int = 0  # cut off each side before it is read

    @property
    def longest(self) -> int:
        """The longest text that a path can spell whatever it is: two equal characters need a blank between them."""
        return ((self.width_px - 2 * self.crop_px) // self.column_px + 1) // 2

    def width_for(self, length: int) -> int:
        """Returns the width, in pixels, that a text of that length needs."""
        return (2 * length - 1) * self.column_px + 2 * self.crop_px


def open_place(place: Path, reading: Reading, class_map: str, *, name: str, frame: Frame, whole: bool) -> Own:
    """Lists a user's lines, and decides on characters and splits.

    Args:
        place: see `line_layouts.find`.
        reading, class_map: what the user says of files; only the column of the text applies to lines.
        name: of the data set.
        frame: of the network.
        whole: for evaluation alone: there may be too few lines for a test split, and texts that are too long.

    Raises:
        ConfigError: a setting has no effect on lines, or see `line_layouts.find`.
        DataError: an empty text, one that is too long, or another that cannot be used; too few lines; a missing file.
        OSError: a file cannot be read.
    """
    for key, value, default in (
        ("class_map", class_map, ""),
        ("pixel_scale", reading.pixel_scale, 0.0),
        ("orientation", reading.orientation, "upright"),
    ):
        if value != default:
            raise ConfigError(
                f"config.data.{key}={value} does not apply to lines of writing, which this network reads: leave it out"
            )
    found = line_layouts.find(place, reading._replace(texts=True))
    if not found.items:
        raise DataError(f"{place} holds no line: expected {line_layouts.EXPECTED}")
    items = cleaned(found.items, found.notes)
    folder.check_repeated(items, found.notes)
    check_lengths(items, frame, found.notes, refuse=not whole)
    split = Counter(item.split or "train" for item in items)
    if not whole:
        folder.check_train(place, split)
    test = folder.test_size(place, split, whole=whole)
    source = Source(
        name=name,
        version=folder.version(items, lambda item: _said(item, frame)),
        classes=tuple(sorted({character for item in items for character in item.label})),
        train_examples=len(items) - test,
        test_examples=test,
        validation_examples=0,
        sha256=None,
        image_shape=(frame.height_px, frame.width_px, 1),
        own_validation=split["validation"],
        own_test=bool(split["test"]),
        label_length=max(len(item.label) for item in items),
    )
    return Own(source, Found(items, found.notes))


def _said(item: Item, frame: Frame) -> bytes:
    """What the identity of the data set covers beside the pictures."""
    name = Path(str(item.picture)).name
    size = [frame.height_px, frame.width_px]
    return json.dumps([VERSION, size, item.split, item.label, name], ensure_ascii=True).encode()


def cleaned(items: Sequence[Item], notes: list[str]) -> list[Item]:
    """Returns the lines with their texts as characters to read: no whitespace around them, Unicode in its composed form
    (NFC); both are noted.

    Raises:
        DataError: a text that is empty, or holds a line break or another control character; the sentence names it.
    """
    made, stripped, composed = [], [], []
    for item in items:
        text = item.label.strip()
        if not text:
            raise DataError(f"{item.name}: the text is empty; write what the picture shows, or leave the line out")
        if text != item.label:
            stripped.append(item.name)
        if (whole := unicodedata.normalize("NFC", text)) != text:
            composed.append(item.name)
        if wrong := next((c for c in whole if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")), ""):
            what = "a line break" if wrong in "\r\n\u2028\u2029" else f"the control character {shown(wrong)}"
            raise DataError(f"{item.name}: the text holds {what}; a picture shows one line, so write its text in one")
        made.append(item._replace(label=whole))
    if stripped:
        notes.append(f"Removed the whitespace around {counted(len(stripped), 'text')}: {first_of(stripped)}")
    if composed:
        notes.append(f"Composed the characters of {counted(len(composed), 'text')} (Unicode NFC): {first_of(composed)}")
    return made


def check_lengths(items: Sequence[Item], frame: Frame, notes: list[str], *, refuse: bool) -> None:
    """Compares the texts with what the time steps of the network can spell.

    Raises:
        DataError: a text is too long, and `refuse` is set; otherwise it is noted.
    """
    long = [item for item in items if len(item.label) > frame.longest]
    if not long:
        return
    most = max(long, key=lambda item: len(item.label))
    length = len(most.label)
    if refuse:
        others = f" ({len(long) - 1} more are too long)" if len(long) > 1 else ""
        raise DataError(
            f"{most.name}: the text has {length} characters, and the network reads at most {frame.longest}{others}: "
            f"use config.data.strings.width_px={frame.width_for(length)} or more, a smaller config.model.column_px, or "
            "shorter lines"
        )
    notes.append(
        f"Warning: {counted(len(long), 'text')} longer than the {frame.longest} characters that the network can read, "
        f"which counts as an error (and makes the loss large): {first_of([item.name for item in long])}"
    )


def converted(own: Own, frame: Frame, *, log: Callable[[str], object]) -> tuple[Content, list[str]]:
    """Reads and converts every picture; returns the content, and a sentence for what speaks against some of them.

    Raises:
        DataError: pictures that cannot be used; the sentence names the first ones.
    """
    items, source = own.found.items, own.source
    image = np.zeros((len(items), *source.image_shape), np.uint8)
    label = np.full((len(items), source.label_length), -1, np.int32)
    index = {character: i for i, character in enumerate(source.classes)}
    wrong, several, narrowed = [], [], {}
    text = f"Converting {len(items):,} pictures of lines (once)"
    for i, item in enumerate(track(items, text=text, total=len(items), log=log)):
        label[i, : len(item.label)] = [index[character] for character in item.label]
        try:
            found = inputs.to_input(item.picture, (frame.height_px, frame.width_px))
        except (DataError, OSError) as error:
            wrong.append(folder.reason(Path(str(item.picture)), error))
            continue
        image[i, :, :, 0] = found.image
        if found.lines > 1:
            several.append(f"{item.name} ({found.lines})")
        if found.fits < normalise.NARROWED:
            narrowed[item.name] = 1 / found.fits
    folder.refuse_unread(wrong, len(items))
    notes = []
    if several:
        notes.append(
            f"Warning: {len(several)} of {len(items)} pictures seem to hold several lines, of which the heaviest near "
            f"the middle is taken: {first_of(several)}"
        )
    if narrowed:
        names = sorted(narrowed, key=lambda name: -narrowed[name])
        notes.append(
            f"Warning: {len(narrowed)} of {len(items)} lines are up to {max(narrowed.values()):.1f} times as long as "
            f"the image of {frame.width_px} pixels, and were narrowed (config.data.strings.width_px gives more room): "
            f"{first_of([f'{name} ({narrowed[name]:.1f})' for name in names])}"
        )
    return folder.divided(own, image, label), notes


def described(own: Own, validation: int | None) -> str:
    """Returns a sentence that says what was understood: the lines, their lengths and characters and, unless
    `validation`, the number of lines for it, is None, which of them are for what."""
    source, lengths = own.source, [len(item.label) for item in own.found.items]
    between = str(min(lengths)) if min(lengths) == max(lengths) else f"{min(lengths)} to {max(lengths)}"
    said = (
        f"{counted(len(lengths), 'line')} of {between} {'character' if max(lengths) == 1 else 'characters'}; "
        f"{len(source.classes)} different ones: {listed(source.classes)}"
    )
    if validation is None:
        return said
    return f"{said}; {folder.divided_words(source, validation, 'lines')}"


def listed(characters: Sequence[str]) -> str:
    """Returns the characters side by side; a space, and what cannot be seen, by its name or code."""
    some = " ".join(_visible(c) for c in characters[:LISTED])
    return f"{some} ..." if len(characters) > LISTED else some


def _visible(character: str) -> str:
    if character == " ":
        return "(space)"
    hidden = unicodedata.category(character) in ("Cf", "Co", "Cn", "Zs")
    return f"U+{ord(character):04X}" if hidden else character


def check_trained(dataset: Dataset, log: Callable[[str], object]) -> None:
    """Logs a warning about characters that no training line has, and about those that fewer than FEW have."""
    counts = {
        split: np.bincount(label[label >= 0], minlength=len(dataset.classes))
        for split in ("train", "validation", "test")
        for label in [np.asarray(getattr(dataset, split).label)]
    }
    absent, few = [], []
    for i, character in enumerate(dataset.classes):
        name, times = _visible(character), int(counts["train"][i])
        if not times:
            there = [f"{counts[split][i]} in {split}" for split in ("validation", "test") if counts[split][i]]
            absent.append(f"{name} ({', '.join(there) or 'none is left'})")
        elif times < FEW:
            few.append(f"{name} ({times})")
    if absent:
        log(
            f"Warning: no training line has these characters, so they cannot be learnt: {', '.join(absent)}; add lines "
            "that have them"
        )
    if few:
        log(f"Warning: characters that occur fewer than {FEW} times in the training lines: {', '.join(few)}")


def lengths(dataset: Dataset) -> tuple[int, int]:
    """Returns the length of the shortest and of the longest training text of a data set of strings."""
    length = (np.asarray(dataset.train.label) >= 0).sum(1)
    return int(length.min()), int(length.max())
