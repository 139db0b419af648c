"""Where the examples of a user's own data set lie: which folder is a class, which is a split, which file is a table.

FOLDER/<class>/*.png                     a folder per class; pictures may lie deeper
FOLDER/{train,val,test}/<class>/*        the user's own splits, in any case; val and test may be missing; or train_data
FOLDER/<class>/{train,val,test}/*        the same, the other way round
FILE.csv: path,label                     a picture file per line, its path relative to the table
FILE.csv: label,pixel0,...               the grey values of a square picture per line, row by row
FILE.npz: x_train, y_train, ...          arrays, as Keras has them; or images, labels
FOLDER/*-images-idx3-ubyte               IDX files with their *-labels-idx1-ubyte, gzipped or not
FOLDER/{train,test}.csv                  a table per split

Every choice, and everything that is left out, ends in a note for the user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.pictures import inputs, tables, values
from hwr_jax.pictures.decode import FORMATS
from hwr_jax.pictures.splits import split_of
from hwr_jax.pictures.tables import Reading

LIKELY = (  # suffixes of pictures, or of what holds some, that are not read
    *(".heic", ".heif", ".svg", ".pdf", ".psd", ".eps", ".dng", ".cr2", ".nef", ".arw", ".jp2", ".jxl", ".tga", ".pcx"),
    *(".zip", ".rar", ".7z", ".tar", ".gz", ".mat", ".npy"),
)
SHOWN = 5  # names in a note


class Item(NamedTuple):
    """One example."""

    split: str  # train, validation, test, or "": it is not said
    label: str
    name: str  # for messages
    picture: inputs.Picture  # not read yet


class Found(NamedTuple):
    """What lies at a place."""

    items: list[Item]
    notes: list[str]  # a sentence for each choice, and for what was left out


def find(place: Path, reading: Reading, class_map: str = "") -> Found:
    """Lists the examples of a folder or file, sorted, reading no picture file.

    Args:
        place: the folder or file that the user named.
        reading: what the user says of tables and files of grey values.
        class_map: a file that renames the classes (see `mapping`); "": none.

    Raises:
        ConfigError: nothing is there, or the user has to choose between columns.
        DataError: it has none of the layouts above.
        OSError: it cannot be read.
    """
    notes: list[str] = []
    if place.is_dir():
        items = list(_in_folder(place, reading, notes))
    elif place.is_file() and inputs.pictures_in_here([place]):
        raise DataError(f"{place} is one picture: name a folder with a folder of pictures for each class, or a table")
    elif place.is_file():
        items = list(in_file(place, "", reading, notes))
    else:
        raise ConfigError(
            f"config.data.manual_dir={str(place)!r} is neither a folder nor a CSV file: name your pictures"
        )
    if reading.label_column and not any(re.search(r", line \d+$", item.name) for item in items[:1]):
        raise ConfigError(f"config.data.label_column={reading.label_column} has no effect: {place} holds no table")
    if reading.pixel_scale and items and all(isinstance(item.picture, Path) for item in items):
        raise ConfigError(f"config.data.pixel_scale={reading.pixel_scale:g} has no effect: {place} holds picture files")
    if class_map:
        items = _renamed(items, mapping(Path(class_map).expanduser()), class_map, notes)
    return Found(items, notes)


def mapping(path: Path) -> dict[str, str]:
    """Reads a file that renames classes: a JSON object, or a line `name,class` each, also with a tab or a space.

    The files of EMNIST (emnist-balanced-mapping.txt) give ASCII codes: 10 65 is A; of two codes the last counts.

    Raises:
        ConfigError: there is no such file, or it is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the class map {path} cannot be read: {error}") from error
    if text.lstrip().startswith("{"):
        try:
            return {str(name): str(other) for name, other in json.loads(text).items()}
        except ValueError as error:
            raise ConfigError(f"the class map {path} is not JSON: {error}") from error
    rows = [re.split(r"\s*[,;\t]\s*|\s+", line.strip()) for line in text.splitlines() if line.strip()]
    if not rows or any(len(row) not in (2, 3) for row in rows) or len({len(row) for row in rows}) > 1:
        raise ConfigError(f"the class map {path}: expected a line such as `name,class` for each class")
    codes = [cell for row in rows for cell in row[1:]]
    numbered = all(row[0].isdecimal() for row in rows)  # as EMNIST's classes are
    if (
        numbered
        and all(cell.isdecimal() and 33 <= int(cell) < 127 for cell in codes)
        and (len(rows[0]) == 3 or all(int(cell) >= ord("0") for cell in codes))
    ):
        return {row[0]: chr(int(row[-1])) for row in rows}
    if len(rows[0]) == 3:
        raise ConfigError(f"the class map {path}: expected two names in each line")
    return {row[0]: row[1] for row in rows}


def _renamed(items: list[Item], names: dict[str, str], where: str, notes: list[str]) -> list[Item]:
    labels = sorted({item.label for item in items}, key=in_order)
    absent = [label for label in labels if label not in names]
    if absent:
        raise ConfigError(f"the class map {where} does not name the classes {', '.join(absent[:SHOWN])}")
    notes.append(f"{where}: {listed([f'{label} is {names[label]}' for label in labels])}")
    return [item._replace(label=names[item.label]) for item in items]


def in_order(label: str) -> tuple[int, int, str]:
    """The key that sorts class names: numbers by value, then words."""
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def in_file(place: Path, split: str, reading: Reading, notes: list[str]) -> Iterator[Item]:
    """The examples of a table or archive, or of an IDX file with the labels beside it."""
    if values.is_idx(place):
        yield from _idx_pair(place, reading, notes)
        return
    for name, own, label, picture in inputs.examples(place, reading, notes, labelled=True):
        yield Item(split or own, label, name, picture)


def _in_folder(place: Path, reading: Reading, notes: list[str]) -> Iterator[Item]:
    place = unwrapped(place, notes)
    files = _files_in(place)
    if images := [path for path in files if values.is_idx(path) and "idx3" in path.name.lower()]:
        images = _one_of_each(images)
        _refuse_two(place, {path: split_in(path) for path in images})
        for path in images:
            yield from _idx_pair(path, reading, notes)
        if left := [path for path in (*files, *folders_in(place)) if not values.is_idx(path)]:
            notes.append(f"{place}: left out {names_of(left)}")
        return
    tops = folders_in(place)
    full = [top for top in tops if inputs.pictures_in(top)]
    tabled = [path for path in files if inputs.is_table(path)]
    if not full or (len(full) == 1 and len(tabled) == 1 and not split_of(full[0].name)):
        yield from _in_files(place, files, tops, reading, notes)
        return
    _note_loose(place, files, notes)
    named = {top: split for top in tops if (split := split_of(top.name))}
    by_word = {top: split_in(top) for top in full}  # train_data, test_data
    if not named and all(by_word.values()) and "train" in by_word.values():
        named = by_word
    if not named:
        yield from _classes("", tops, place, notes)
        return
    others = [top for top in tops if top not in named and inputs.pictures_in(top)]
    if others:
        known = " and ".join(top.name for top in named)
        raise DataError(
            f"{place} has folders beside {known}: {names_of(others)}; move them out, or into {next(iter(named)).name} "
            "if these are splits"
        )
    notes.append(f"{place}: {', '.join(f'{top.name} is the {split} split' for top, split in named.items())}")
    for top, split in named.items():
        folders, loose = folders_in(top), _files_in(top)
        if direct := inputs.pictures_in_here(loose):
            raise DataError(
                f"{top} holds pictures ({names_of(direct)}) outside of the folders of its classes: put each class into "
                "a folder of its own"
            )
        _note_loose(top, loose, notes)
        yield from _classes(split, folders, top, notes)


def _files_in(place: Path) -> list[Path]:
    """What lies in a folder and is none itself, sorted, without what is hidden: files, and links to nowhere."""
    return [path for path in sorted(place.iterdir()) if not path.is_dir() and not path.name.startswith(".")]


def _note_loose(place: Path, files: list[Path], notes: list[str]) -> None:
    """Notes the pictures and the other files that lie beside the folders of classes, and are not read."""
    pictures = inputs.pictures_in_here(files)
    for noun, some in (("picture", pictures), ("file", [path for path in files if path not in pictures])):
        if some:
            lie = "lies" if len(some) == 1 else "lie"
            notes.append(
                f"{place}: left out {counted(len(some), noun)} that {lie} in no folder of a class ({names_of(some)})"
            )


def _refuse_two(place: Path, split: dict[Path, str]) -> None:
    """Raises DataError if two of the files to read are of one split: if they are of two data sets, the same label may
    mean two things."""
    for one in split.values():
        same = [path for path in split if split[path] == one]
        if len(same) > 1:
            of = f" of the {one} split" if one else ""
            raise DataError(
                f"{place} has {len(same)} files{of} ({names_of(same)}), in which a label may mean different things: "
                "leave the files of one data set there"
            )


def unwrapped(place: Path, notes: list[str], *, classes: bool = True) -> Path:
    """The folder within folders that hold nothing else, as an unpacked archive leaves them. With `classes`, a folder of
    pictures alone is one class, and not what is looked for."""
    while True:
        inside = [path for path in place.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX"]
        if len(inside) != 1 or not inside[0].is_dir() or split_of(inside[0].name):
            return place
        deeper = [path for path in inside[0].iterdir() if not path.name.startswith(".")]
        if (classes and inputs.pictures_in_here(deeper)) or not deeper:
            return place
        notes.append(f"{place} holds only the folder {inside[0].name}, whose content is read")
        place = inside[0]


def _classes(split: str, folders: list[Path], place: Path, notes: list[str]) -> Iterator[Item]:
    """The pictures of each class; a folder of a class may be divided into splits."""
    skipped: list[Path] = []
    empty, within = [], set[str]()
    for folder in folders:
        pictures, others = inputs.pictures_in(folder), inputs.others_in(folder)
        skipped += others
        if not pictures:
            if unread := [path for path in others if path.suffix.lower() in LIKELY]:
                raise DataError(
                    f"{folder} has no picture that can be read, only {names_of(unread)}: convert them "
                    f"({', '.join(FORMATS)}) or remove the folder"
                )
            empty.append(folder)
        for path in pictures:
            deeper = path.relative_to(folder).parts[:-1]
            own = split_of(deeper[0]) if deeper else ""
            if deeper and not own:
                within.add(deeper[0])
            yield Item(split or own, folder.name, str(path), path)
    if within:
        names = listed(sorted(within))
        notes.append(f"{place}: its own folders are the classes; those within them ({names}) are not told apart")
    if empty:
        notes.append(f"{place}: no class is made of {names_of(empty)}, without pictures")
    if skipped:
        notes.append(f"{place}: {inputs.skipped_words(skipped)}")


def _in_files(place: Path, files: list[Path], tops: list[Path], reading: Reading, notes: list[str]) -> Iterator[Item]:
    """The tables or the archive in a folder without folders of pictures."""
    found = [path for path in files if inputs.is_table(path) or path.suffix.lower() == ".npz"]
    chosen = one_per_split(found)
    unread = [path for top in tops for path in inputs.others_in(top)]
    if not chosen:
        what = f"; it has {len(found)} tables ({names_of(found)}), so name one of them" if found else ""
        what = what or (f"; what it holds cannot be read: {names_of(unread)}" if unread else "")
        raise DataError(
            f"{place} holds no folder of pictures{what}; put each class into a folder of its own ({', '.join(FORMATS)})"
        )
    _refuse_two(place, chosen)
    yield from in_chosen(place, chosen, reading, notes)
    if left := [path for path in found if path not in chosen]:
        notes.append(f"{place}: left out {names_of(left)}")


def one_per_split(found: list[Path]) -> dict[Path, str]:
    """Returns which of the tables or archives of a folder are read, with the split of each by its name: the only one,
    or those whose names say a split."""
    if len(found) == 1:
        return {found[0]: ""}
    return {path: split for path in found if (split := split_in(path))}


def in_chosen(place: Path, chosen: dict[Path, str], reading: Reading, notes: list[str]) -> Iterator[Item]:
    """The examples of tables or archives, with the split of each. One without labels is left out, unless it is the only
    one, or that of the training split."""
    for path, split in chosen.items():
        try:
            items = list(in_file(path, split, reading, notes))
        except tables.Unlabelled as error:
            if len(chosen) == 1 or split == "train":
                raise
            notes.append(f"{error}; so it is left out")
            continue
        notes.append(f"{place}: {path.name} is {f'the {split} split' if split else 'read'}")
        yield from items


def split_in(path: Path) -> str:
    """The split that a word in the name of a file says: mnist_train.csv, t10k-images."""
    words = re.split(r"[^a-z0-9]+", path.name.lower())
    return next((split for word in words if (split := "test" if word == "t10k" else split_of(word))), "")


def _one_of_each(paths: list[Path]) -> list[Path]:
    """Drops each .gz file whose unzipped copy lies beside it."""
    return [path for path in paths if not (path.suffix == ".gz" and path.with_suffix("") in paths)]


def _idx_pair(path: Path, reading: Reading, notes: list[str]) -> Iterator[Item]:
    """The pictures of an IDX file, with the labels of the file beside it."""
    if not re.search("image|img", path.name.lower()) or "idx3" not in path.name.lower():
        raise DataError(f"{path}: expected the file of the pictures, such as train-images-idx3-ubyte")
    name = re.sub("images?", "labels", path.name).replace("idx3", "idx1")
    forms = {form for one in (name, name.replace("labels", "label")) for form in (one, one.removesuffix(".gz"))}
    forms |= {f"{form.removesuffix('.gz')}.gz" for form in forms}
    labels = next((one for form in sorted(forms) if (one := path.with_name(form)).is_file()), None)
    if labels is None:
        raise DataError(f"{path} has no labels beside it: expected {name}")
    images = values.idx_images(path)
    numbers = values.idx_labels(labels, len(images), path).tolist()
    grey = values.grey(images, values.scale_of(images, str(path), reading, notes), reading)
    split = split_in(path)
    notes.append(f"{path} and {labels.name}: {len(grey)} pictures{f' of the {split} split' if split else ''}")
    for i, (label, picture) in enumerate(zip(tables.whole_numbers([*map(str, numbers)]), grey, strict=True), 1):
        yield Item(split, label, f"{path}, picture {i}", picture)


def folders_in(place: Path) -> list[Path]:
    """Returns the folders in a folder, sorted, without hidden ones."""
    return sorted(
        path for path in place.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"
    )


def names_of(paths: list[Path]) -> str:
    """Returns the names of the first of some files, for a note."""
    return listed([path.name for path in paths])


def listed(names: Sequence[str], shown: int = SHOWN) -> str:
    """Returns the first of some names, for a message."""
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def counted(count: int, noun: str) -> str:
    """Returns a number with its noun: 1 picture, 2 pictures."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
