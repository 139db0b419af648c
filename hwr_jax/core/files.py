"""Small files that are whole or absent: atomic writes, JSON, JSON lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hwr_jax.core.errors import RunFolderError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a file so that a reader, or a crash, sees the old content or the new one, never a part."""
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    data = content.encode() if isinstance(content, str) else content
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Flushes a file or folder from the system's buffers to the disk."""
    if os.name == "nt":
        return  # Windows cannot open a folder to flush it
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, atomically. Raises ValueError for NaN and infinity, which are not JSON."""
    write_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text())


def append_json_line(path: Path, value: dict[str, Any]) -> None:
    """Appends one object as a line; it is on the disk when this returns."""
    with open(path, "a") as file:
        file.write(json.dumps(value, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def cut_torn_line(path: Path) -> None:
    """Removes a torn last line, which a crash or a full disk can leave. The caller must be the file's only writer."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Reads the whole lines of a file; ignores a torn last line (from a crash while it was written).

    Raises:
      RunFolderError: a line before it is damaged.
    """
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from None


def write_json_lines(path: Path, values: list[dict[str, Any]]) -> None:
    """Writes objects as lines, atomically."""
    write_atomic(path, "".join(json.dumps(value, allow_nan=False) + "\n" for value in values))
