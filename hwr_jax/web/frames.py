"""How the server and the processes that read talk: a line of JSON, and the bytes that it announces.

A request is {"kind", "options", "pictures": [[name, bytes], ...]}. An answer is {"items": [[index, is_read, bytes],
...], "done": bool}: each item is the JSON of a reading, or of {"image", "error"}. An answer without items says that the
process is alive, and at the next picture. The first message of a process is {"ready": facts of its model}.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

MOST_LINE = 2**20  # bytes of a line


def packed(head: dict[str, Any], blobs: list[bytes]) -> bytes:
    """Returns a message as bytes; `head` announces the sizes of `blobs`."""
    return b"".join([json.dumps(head).encode(), b"\n", *blobs])


def sizes(head: dict[str, Any]) -> list[int]:
    """Returns the bytes of each blob that follows."""
    return [one[-1] for one in head.get("pictures") or head.get("items") or ()]


def read(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    """Waits for a message; None at the end of the stream."""
    line = stream.readline(MOST_LINE)
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    return head, [stream.read(size) for size in sizes(head)]
