"""From a request to pictures: its media type, its size, its parts and its parameters. Nothing is written to a disk."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator
from typing import Any

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import Headers, QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from hwr_jax.web.limits import MIB, Limits
from hwr_jax.web.problems import Problem

BYTES = "the given bytes"  # what messages call a picture without a name
BARE = ("application/octet-stream", "application/pdf")  # beside image/*
DISCARD_S, DISCARD_BYTES = 1.0, 4 * MIB  # of a body that is too large: many clients read no answer before it is sent
MODES = ("auto", "digit", "line", "page")
MOST_BEST = 100


class Room:
    """How many bytes of pictures the server holds, and may hold."""

    def __init__(self, most_bytes: int):
        self.most_bytes, self.held = most_bytes, 0

    def taken(self) -> Share:
        """A share, which is given back at the end of a `with`."""
        return Share(self)


class Share:
    """What a request holds of a room."""

    __slots__ = ("_room", "bytes")

    def __init__(self, room: Room):
        self._room, self.bytes = room, 0

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.held -= self.bytes

    def add(self, count: int) -> None:
        """Raises Problem if there is no more room."""
        if self._room.held + count > self._room.most_bytes:
            raise Problem(503, "the server holds as many bytes of pictures as it may: try again later", close=True)
        self._room.held += count
        self.bytes += count


class _InMemory(MultiPartParser):
    """Keeps parts of any size in memory: the whole body is limited."""

    spool_max_size = 2**40
    ended = False  # the form's last line has come; without it the last part would be missing

    def on_end(self) -> None:
        """See above."""
        self.ended = True

    def close(self) -> None:
        """Closes the parts."""
        for file in self._files_to_close_on_error:
            file.close()


async def pictures(scope: Scope, receive: Receive, limits: Limits, share: Share) -> list[tuple[str, bytes]]:
    """Returns the name and the content of each picture of a request. Raises Problem, ClientDisconnect."""
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", BARE[0].encode()).decode("latin-1").partition(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    if not (is_form or kind.startswith("image/") or kind in BARE):
        allowed = f"image/*, {', '.join(BARE)} or multipart/form-data"
        raise Problem(415, f"the media type {kind[:100]!r} is not accepted: use {allowed}", close=True)
    try:
        async with asyncio.timeout(limits.body_s):
            content = await _body(headers, receive, limits, share)
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {limits.body_s:g} s", close=True) from None
    if is_form:
        return await _parts(Headers(scope=scope), content, limits)
    if not content:
        raise Problem(400, "the body is empty: send the bytes of a picture")
    return [(BYTES, content)]


async def _body(headers: dict[bytes, bytes], receive: Receive, limits: Limits, share: Share) -> bytes:
    said = headers.get(b"content-length", b"")
    if said.isdigit() and int(said) > limits.body_bytes:
        await _discard(headers, receive)
        raise _too_large(limits)
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limits.body_bytes:
            await _discard(headers, receive)
            raise _too_large(limits)
        share.add(len(chunk))
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limits: Limits) -> Problem:
    return Problem(413, f"the body is larger than the {limits.body_bytes:,} bytes allowed", close=True)


async def _discard(headers: dict[bytes, bytes], receive: Receive) -> None:
    """Reads on for a moment, so that the client comes to read the answer."""
    if b"expect" in headers:
        return
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while size < DISCARD_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    break


async def _parts(headers: Headers, content: bytes, limits: Limits) -> list[tuple[str, bytes]]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield content

    parser = _InMemory(headers, whole(), max_files=limits.files, max_fields=limits.files)
    with contextlib.closing(parser):
        try:
            form = await parser.parse()
        except (MultiPartException, MultipartParseError, KeyError, ValueError) as error:
            words = " ".join(str(getattr(error, "message", error)).split()).rstrip(".")
            raise Problem(400, f"the form cannot be read: {words}") from None
        if not parser.ended:
            raise Problem(400, "the form is cut off: its last boundary is missing")
        found = []
        for field, value in form.multi_items():
            if not isinstance(value, UploadFile):
                raise Problem(400, f"the form field {field[:100]!r} is not a file: send options in the query")
            found.append((value.filename or field or BYTES, await value.read()))
    if not found:
        raise Problem(400, "the form holds no file")
    return found


@functools.lru_cache(64)
def options(kind: str, query: bytes) -> dict[str, Any]:
    """Returns {"best"} of a request to predict, {"mode", "reject_below"} of one to scan. Raises Problem."""
    allowed = ["best"] if kind == "predict" else ["mode", "reject_below"]
    given: dict[str, str] = {}
    for name, value in QueryParams(query).multi_items():
        if name not in allowed:
            raise Problem(422, f"the parameter {name[:100]!r} is not known: use {' or '.join(allowed)}")
        if name in given:
            raise Problem(422, f"the parameter {name!r} is given twice")
        given[name] = value
    if kind == "predict":
        return {"best": _whole("best", given.get("best", "4"))}
    mode = given.get("mode", "auto")
    if mode not in MODES:
        raise Problem(422, f"mode={mode[:100]!r} is not possible: use one of {', '.join(MODES)}")
    return {"mode": mode, "reject_below": _share_of_one("reject_below", given.get("reject_below", "0"))}


def _whole(name: str, text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST_BEST:
        return int(text)
    raise Problem(422, f"{name}={text[:100]!r} is not possible: use a whole number from 1 to {MOST_BEST}")


def _share_of_one(name: str, text: str) -> float:
    with contextlib.suppress(ValueError):
        if text.isascii() and 0 <= (value := float(text)) <= 1:
            return value
    raise Problem(422, f"{name}={text[:100]!r} is not possible: use a number from 0 to 1")
