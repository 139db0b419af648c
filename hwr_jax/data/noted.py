"""A user's data set in the cache, with the notes that converting its pictures gave. Each load logs them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hwr_jax.core import files
from hwr_jax.data import cache
from hwr_jax.data.content import Content
from hwr_jax.data.sources import Source

NOTES = "notes.json"  # beside the arrays


def read(
    source: Source,
    convert: Callable[[], tuple[Content, list[str]]],
    *,
    cache_dir: str | Path | None,
    place: Path,
    log: Callable[[str], object],
) -> tuple[Content, str]:
    """Maps the images into memory, after making them where the cache has none. Logs the notes about them every time.

    Args:
        source: of the data set.
        convert: makes the content, and a sentence for what speaks against some of the pictures.
        cache_dir, place, log: see `cache.read_or_make`.

    Returns:
        (the content, its SHA-256).

    Raises what `convert` and `cache.read_or_make` raise.
    """
    where, noted = cache.folder(cache_dir, source), list[str]()
    made = False

    def make() -> Content:
        nonlocal made, noted
        content, noted = convert()
        made = True
        return content

    content, sha256 = cache.read_or_make(where, source, make, log=log, place=place)
    try:
        if made:
            files.write_atomic(where / NOTES, json.dumps(noted))
        else:
            noted = [str(one) for one in json.loads((where / NOTES).read_text())]
    except (OSError, ValueError):
        pass  # the cache cannot be written
    for note in noted:
        log(note)
    return content, sha256
