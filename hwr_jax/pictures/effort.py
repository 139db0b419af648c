"""How much work a small file may ask of a decoder. Owns the limits that the number of pixels does not show.

A JPEG may hold thousands of scans of a few bytes, and each is a pass over the whole picture; a TIFF may hold millions
of strips. Pillow and libjpeg would take minutes, and cannot be interrupted.
"""

from __future__ import annotations

import re
import struct

from hwr_jax.core.errors import DataError

MOST_SCANS = 100  # of a JPEG; cameras write 1, and programs about 10
MOST_STRIPS = 100_000  # of a picture in a TIFF, strips or tiles; one of 50,000 rows may have as many strips
MOST_DIRECTORIES = 101  # of a TIFF are looked at
STRIPS = (273, 279, 324, 325)  # the TIFF tags that have a value for each strip or tile
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
STANDALONE = (0x01, *range(0xD0, 0xD9), 0xFF)  # markers without a length: restarts, start of image, filling


def check(content: bytes, name: str) -> None:
    """Refuses a file that would keep a decoder busy for minutes.

    Raises:
        DataError: a JPEG with too many scans, or a TIFF with too many strips.
    """
    if content.startswith(b"\xff\xd8"):
        if scans(content) > MOST_SCANS:
            raise DataError(f"{name}: the JPEG has more than the {MOST_SCANS} scans allowed: save it anew")
    elif content[:2] in (b"II", b"MM") and strips(content) > MOST_STRIPS:
        raise DataError(f"{name}: the TIFF has more than the {MOST_STRIPS:,} strips allowed: save it anew")


def scans(content: bytes) -> int:
    """Returns the scans of a JPEG's first picture, at most one more than `MOST_SCANS`."""
    marker = re.compile(rb"\xff[^\x00\xff]")
    found, at = 0, 2
    while found <= MOST_SCANS and (match := marker.search(content, at)):
        kind, at = content[match.start() + 1], match.end()
        if kind == END_OF_IMAGE:
            break
        if kind not in STANDALONE:
            found += kind == START_OF_SCAN
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return found


def strips(content: bytes) -> int:
    """Returns the most strips or tiles of a picture in a TIFF, of those that Pillow would look at."""
    order = "<" if content[:2] == b"II" else ">"
    big = 43 in content[2:4]
    word, entry, offset_bytes = ("Q", "HHQ", 8) if big else ("I", "HHI", 4)
    size, head = struct.calcsize("<" + entry) + offset_bytes, "Q" if big else "H"
    most, seen, at = 0, set(), 8 if big else 4
    try:
        (at,) = struct.unpack_from(order + word, content, at)
        while at and at not in seen and len(seen) < MOST_DIRECTORIES:
            seen.add(at)
            (entries,) = struct.unpack_from(order + head, content, at)
            at += struct.calcsize("<" + head)
            for _ in range(entries):
                tag, _, count = struct.unpack_from(order + entry, content, at)
                most, at = max(most, count if tag in STRIPS else 0), at + size
            (at,) = struct.unpack_from(order + word, content, at)
    except struct.error:  # the file ends, or points behind its end
        pass
    return most
