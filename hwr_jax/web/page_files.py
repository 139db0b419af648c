"""The files of the page that a browser shows: those of the folder `page`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "page"


def files() -> dict[str, bytes]:
    """Returns path -> content, such as "index.html"."""
    found = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in found}
