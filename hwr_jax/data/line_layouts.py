"""Where a user's own lines of writing lie: the picture of each, and its text as it is written there.

FILE.csv: path,text                      a picture file and its text per line; a column split may say train, val, test
FOLDER/labels.csv                        the same, with the pictures beside it or deeper
FOLDER/{train,test}.csv                  a table per split
FOLDER/{a.png,a.txt}                     a text file of the same name beside each picture (or a.gt.txt); may lie deeper
FOLDER/{train,val,test}/                 the user's own splits, each with a table or with text files

Every choice, and everything that is left out, ends in a note for the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.data import layouts
from hwr_jax.data.layouts import Found, Item
from hwr_jax.pictures import inputs
from hwr_jax.pictures.splits import split_of
from hwr_jax.pictures.tables import Reading

BESIDE = (".txt", ".gt.txt")  # endings of the file with the text of a picture
EXPECTED = "a table with a line path,text for each picture, or a text file of the same name beside each picture"


def find(place: Path, reading: Reading) -> Found:
    """Lists the lines of a folder or table, sorted, reading no picture file; the label of each is its text as written.

    Args:
        place: the folder or file that the user named.
        reading: with `texts` (see `tables.Reading`).

    Raises:
        ConfigError: nothing is there, the user has to choose between columns, or a setting has no effect.
        DataError: it has none of the layouts above.
        OSError: it cannot be read.
    """
    notes: list[str] = []
    if place.is_dir():
        items = list(_in_folder(layouts.unwrapped(place, notes, classes=False), "", reading, notes))
    elif not place.is_file():
        raise ConfigError(f"config.data.manual_dir={str(place)!r} is neither a folder nor a CSV file: name your lines")
    elif inputs.is_table(place):
        items = _by_folder(list(layouts.in_file(place, "", reading, notes)), place.parent, notes)
    else:
        raise DataError(f"{place} is no table of lines: expected {EXPECTED}")
    if wrong := next((item for item in items if not isinstance(item.picture, Path)), None):
        raise DataError(f"{wrong.name} names no picture file: expected {EXPECTED}")
    if reading.label_column and not any(item.name != str(item.picture) for item in items):
        raise ConfigError(f"config.data.label_column={reading.label_column} has no effect: {place} holds no table")
    return Found(items, notes)


def _in_folder(place: Path, split: str, reading: Reading, notes: list[str]) -> Iterator[Item]:
    files = [path for path in sorted(place.iterdir()) if path.is_file() and not path.name.startswith(".")]
    if found := [path for path in files if inputs.is_table(path)]:
        yield from _in_tables(place, found, split, reading, notes)
        return
    tops = {top: own for top in layouts.folders_in(place) if (own := split_of(top.name))}
    if split or not tops:
        yield from _with_texts(place, split, notes)
        return
    others = [top for top in layouts.folders_in(place) if top not in tops and inputs.pictures_in(top)]
    if outside := [*others, *inputs.pictures_in_here(files)]:
        known = " and ".join(top.name for top in tops)
        raise DataError(
            f"{place} has {layouts.names_of(outside)} beside the splits {known}: move these away, or into a split"
        )
    notes.append(f"{place}: {', '.join(f'{top.name} is the {own} split' for top, own in tops.items())}")
    for top, own in tops.items():
        yield from _in_folder(top, own, reading, notes)


def _in_tables(place: Path, found: list[Path], split: str, reading: Reading, notes: list[str]) -> Iterator[Item]:
    """The lines of the tables in a folder; pictures that none of them names are noted."""
    chosen = layouts.one_per_split(found)
    if not chosen:
        raise DataError(f"{place} has {len(found)} tables ({layouts.names_of(found)}), so name one of them")
    items = list(layouts.in_chosen(place, chosen, reading, notes))
    if left := [path for path in found if path not in chosen]:
        notes.append(f"{place}: left out {layouts.names_of(left)}")
    if split:
        if other := next((item for item in items if item.split not in ("", split)), None):
            raise DataError(f"{other.name} says {other.split}, but the table lies in {place}: leave one of them out")
        items = [item._replace(split=split) for item in items]
    else:
        items = _by_folder(items, place, notes)
    named = {item.picture.resolve() for item in items if isinstance(item.picture, Path)}
    if unnamed := [path for path in inputs.pictures_in(place) if path.resolve() not in named]:
        notes.append(
            f"{place}: left out {layouts.counted(len(unnamed), 'picture')} that no line of the table names "
            f"({layouts.names_of(unnamed)})"
        )
    yield from items


def _by_folder(items: list[Item], place: Path, notes: list[str]) -> list[Item]:
    """Where no table says a split, and every picture lies below train, val or test, these folders say it."""
    tops = []
    for item in items:
        if item.split or not isinstance(item.picture, Path) or not item.picture.is_relative_to(place):
            return items
        parts = item.picture.relative_to(place).parts
        tops.append(parts[0] if len(parts) > 1 and split_of(parts[0]) else "")
    if not items or not all(tops):
        return items
    words = ", ".join(f"{top} is the {split_of(top)} split" for top in dict.fromkeys(tops))
    notes.append(f"{place}: the folders of the pictures say the split: {words}")
    return [item._replace(split=split_of(top)) for item, top in zip(items, tops, strict=True)]


def _with_texts(place: Path, split: str, notes: list[str]) -> Iterator[Item]:
    """The pictures below a folder that have a text file beside them."""
    pictures, bare, used = inputs.pictures_in(place), [], set()
    for path in pictures:
        texts = [text for ending in BESIDE if (text := path.with_name(path.stem + ending)).is_file()]
        if len(texts) > 1:
            raise DataError(f"{path} has two texts beside it, {texts[0].name} and {texts[1].name}: remove one of them")
        if not texts:
            bare.append(path)
            continue
        used.add(texts[0])
        yield Item(split, _read(texts[0]), str(path), path)
    if not used:
        raise DataError(f"{place} holds {layouts.counted(len(pictures), 'picture')} and no text: expected {EXPECTED}")
    if bare:
        notes.append(
            f"{place}: left out {layouts.counted(len(bare), 'picture')} without a text file ({layouts.names_of(bare)})"
        )
    if left := [path for path in inputs.others_in(place) if path not in used]:
        notes.append(
            f"{place}: left out {layouts.counted(len(left), 'file')} beside no picture ({layouts.names_of(left)})"
        )


def _read(path: Path) -> str:
    """The text in a file, without the line break at its end."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 (byte {error.start + 1}): save it as UTF-8") from error
    return text.removesuffix("\n").removesuffix("\r")
