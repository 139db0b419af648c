"""The addresses, sizes and checksums that TFDS registers for the original files. Reads them from the installed TFDS."""

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
    """The original files of a TFDS data set, by file name; empty if TFDS is not installed.

    This does not import TFDS, which takes a second: it reads one text file.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        return {}
    path = Path(spec.submodule_search_locations[0]) / "url_checksums" / f"{name.partition('/')[0]}.txt"
    if not path.exists():
        return {}
    rows = (line.split("\t") for line in path.read_text().splitlines() if line.strip())
    return {filename: Registered(url, int(size), sha256) for url, size, sha256, filename in rows}
