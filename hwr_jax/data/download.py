"""Downloads the original files: time limits, errors of the network, and files that are either whole or absent.

Does not know any data set, and reads no format.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hwr_jax.core.errors import DataError, DataMissing
from hwr_jax.data.checksums import Registered
from hwr_jax.data.progress import track
from hwr_jax.data.sources import IDX_FILES

if TYPE_CHECKING:
    import requests

CONNECT_S = 5.0  # to one address of a host
STALL_S = 10.0  # between two pieces of a file
ANSWER_S = 15.0  # in total until the first answer: name look-up, every address of the host, headers
PIECE = 1 << 14  # bytes

Say = Callable[[str], object]


def fetch(
    name: str,
    files: Mapping[str, Registered],
    folder: Path,
    *,
    log: Say,
    base_url: str | None = None,
    wanted: Mapping[str, str] = IDX_FILES,
    answer_s: float = ANSWER_S,
    stall_s: float = STALL_S,
) -> dict[str, Path]:
    """Download the original files of a data set into `folder`, unless they are there and intact.

    Args:
        name: of the data set.
        files: what is registered, by file name.
        folder: where to put them.
        log: called with one line.
        base_url: replaces everything of the registered addresses up to the file name.
        wanted: the names of the files to download, by key.
        answer_s: seconds until the host must have answered.
        stall_s: seconds without a byte after which a download is given up.

    Returns:
        The path for each key of `wanted`.

    Raises:
        DataMissing: a file cannot be downloaded; the first failure ends the attempt, since all have the same host.
        DataError: the host sent something else.
        OSError: `folder` cannot be written.
    """
    paths = {}
    for key, filename in wanted.items():
        expected = files[filename]
        paths[key] = folder / filename
        if _is_whole(paths[key], expected):
            continue
        url = f"{base_url.rstrip('/')}/{filename}" if base_url else expected.url
        try:
            _download(url, expected, paths[key], log=log, answer_s=answer_s, stall_s=stall_s)
        except _Unreachable as reason:
            raise DataMissing(name, [f"download {url}: {reason}"]) from reason
    return paths


class _Unreachable(Exception):
    """The file cannot be downloaded; the text says why."""


def _download(url: str, expected: Registered, path: Path, *, log: Say, answer_s: float, stall_s: float) -> None:
    """Download one file, through a temporary one beside it."""
    import requests

    unfinished = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    text = f"Downloading {url} ({expected.size / 1e6:.1f} MB)"
    digest, received = hashlib.sha256(), 0
    try:
        with _answer(url, answer_s=answer_s, stall_s=stall_s) as response:
            path.parent.mkdir(parents=True, exist_ok=True)
            pieces = track(response.iter_content(PIECE), text=text, total=expected.size, log=log, size=len)
            with unfinished.open("wb") as file:
                for piece in pieces:
                    if not received and _is_web_page(response.headers.get("Content-Type", ""), piece):
                        raise _Unreachable("a web page came instead of the file: perhaps this network wants a log-in")
                    received += len(piece)
                    if received > expected.size:
                        raise DataError(
                            f"the download {url} sends more than the {expected.size} bytes that a file with SHA-256 "
                            f"{expected.sha256} has: it was stopped"
                        )
                    file.write(piece)
                    digest.update(piece)
        if (received, digest.hexdigest()) != (expected.size, expected.sha256):
            raise DataError(
                f"the download {url} has {received} bytes and SHA-256 {digest.hexdigest()}, "
                f"expected {expected.size} bytes and {expected.sha256}"
            )
        os.replace(unfinished, path)
    except requests.RequestException as error:
        raise _Unreachable(f"it broke off after {received} of {expected.size} bytes ({_reason(error)})") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _is_web_page(kind: str, start: bytes) -> bool:
    return kind.lower().startswith("text/html") or start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def _answer(url: str, *, answer_s: float, stall_s: float) -> requests.Response:
    """The response, its body still to come.

    It is awaited in a thread of its own because no time limit of requests covers the look-up of the host's name, and
    its connect limit holds for each of the host's addresses in turn.
    """
    import requests

    results: queue.Queue = queue.Queue()

    def get() -> None:
        try:
            # identity: a server must not add a compression of its own, which requests would undo together with ours
            headers = {"Accept-Encoding": "identity"}
            results.put(requests.get(url, stream=True, timeout=(CONNECT_S, stall_s), headers=headers))
        except Exception as error:
            results.put(error)

    threading.Thread(target=get, daemon=True).start()
    try:
        result = results.get(timeout=answer_s)
    except queue.Empty:
        raise _Unreachable(f"no connection (no answer within {answer_s:g} s)") from None
    if isinstance(result, requests.RequestException):
        raise _Unreachable(f"no connection ({_reason(result)})") from result
    if isinstance(result, Exception):
        raise result
    if result.status_code != requests.codes.ok:
        result.close()
        raise _Unreachable(f"the server answered {result.status_code} {result.reason}")
    return result


def _reason(error: Exception) -> str:
    """The innermost cause in a few words: requests wraps an error three times and prints addresses of objects."""
    import requests

    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was closed"
    inner: object = error
    while isinstance(inner, BaseException):
        following = getattr(inner, "reason", None) or inner.__cause__ or inner.__context__
        if not isinstance(following, BaseException):
            break
        inner = following
    return str(getattr(inner, "strerror", None) or inner).split(": ")[-1]


def _is_whole(path: Path, expected: Registered) -> bool:
    """Whether the file is there already, bit for bit."""
    if not path.is_file() or path.stat().st_size != expected.size:
        return False
    return sha256_of(path) == expected.sha256


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal, without holding it in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
