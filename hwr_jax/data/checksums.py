"""The addresses, sizes and checksums that TFDS registers for the original files. Reads them where TFDS is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple


class Registered(NamedTuple):
    """One original file."""

    url: str
    size: int  # bytes
    sha256: str


def registered(name: str) -> dict[str, Registered]:
    """The original files of a TFDS data set, by file name; empty where TFDS is not installed.

    TFDS itself is not imported: that takes a second, and one text file is all that is needed.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        return {}
    path = Path(spec.submodule_search_locations[0]) / "url_checksums" / f"{name.partition('/')[0]}.txt"
    if not path.exists():
        return {}
    rows = (line.split("\t") for line in path.read_text().splitlines() if line.strip())
    return {filename: Registered(url, int(size), sha256) for url, size, sha256, filename in rows}
