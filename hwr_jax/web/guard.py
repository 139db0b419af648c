"""What stands before every route: who may ask, what every answer carries, and what is written about a request.

A page of another site must not use a server on this machine: without a key, only requests that name a loopback host are
answered (a name that was rebound to 127.0.0.1 is not one), and none that a browser sends from another origin. With a
key, requests need the key, which no browser adds by itself.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hwr_jax.web.measures import Measures
from hwr_jax.web.problems import MEDIA_TYPE, Problem

OPEN = ("/healthz", "/readyz", "/openapi.json", "/docs")  # and the page: what needs no key
KEYED = ("/v1/", "/metrics")
POLICY = (  # of the page and of /docs: their own files, and nothing else
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CAMERA = "camera=(self), microphone=(), geolocation=()"  # the page photographs a digit
SAFE = [
    (b"content-security-policy", POLICY.encode()),
    (b"permissions-policy", CAMERA.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host: localhost, or an address such as 127.0.0.1."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware. Its `draining`, once true, ends each connection with its next answer."""

    def __init__(self, app: Any, *, key: str | None, measures: Measures, log: Callable[[str], object] | None):
        """key: what requests must carry; None: requests must name a loopback host. log: gets a line of JSON for each
        request, without anything of its pictures; None: nothing is logged."""
        self._app, self._measures, self._log = app, measures, log
        self._digest = None if key is None else _digest(key)
        self.draining = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, size, started = time.perf_counter(), 500, 0, False

        async def answer(message: dict[str, Any]) -> None:
            nonlocal status, size, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message["headers"] = [*message["headers"], *SAFE]
                if self.draining:
                    message["headers"].append((b"connection", b"close"))
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            try:
                self._check(scope)
                await self._app(scope, receive, answer)
            except Problem as problem:
                if started:
                    raise
                await refuse(problem, answer)
        finally:
            seconds = time.perf_counter() - began
            route = route_of(scope["path"])
            self._measures.answered(route, status, seconds)
            if self._log:
                self._log(_line(scope, status, seconds, size))

    def _check(self, scope: dict[str, Any]) -> None:
        headers = dict(scope["headers"])
        if self._digest is None:
            host = headers.get(b"host", b"").decode("latin-1")
            if not _names_loopback(host):
                raise Problem(
                    403, f"the Host header {host[:100]!r} names no loopback host: use http://localhost", close=True
                )
            if scope["method"] not in ("GET", "HEAD") and _is_of_another_site(headers, host):
                raise Problem(403, "a page of another site must not send pictures here", close=True)
        elif scope["path"].startswith(KEYED):
            kind, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
            given = headers.get(b"x-api-key", b"").decode("latin-1")
            given = given or (bearer.strip() if kind.lower() == "bearer" else "")
            if not hmac.compare_digest(_digest(given), self._digest):
                words = "the key is missing or wrong: send it as Authorization: Bearer KEY, or as X-API-Key: KEY"
                raise Problem(401, words, close=True)


async def refuse(problem: Problem, send: Any) -> None:
    """Answers with a problem."""
    body = problem.body()
    kind = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": problem.status, "headers": [*kind, *problem.headers()]})
    await send({"type": "http.response.body", "body": body})


COUNTED = frozenset(("/v1/predict", "/v1/scan", "/metrics", *OPEN))


def route_of(path: str) -> str:
    """Returns what is counted of a path: a route, or "page" for any other, so that no client makes counters."""
    return path if path in COUNTED else "page"


def _digest(key: str) -> bytes:
    """Of one length, so that comparing tells nothing of the key's."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


@functools.lru_cache(64)
def _names_loopback(host: str) -> bool:
    """Whether a Host header names a loopback host."""
    return is_loopback(_name(host))


def _name(host: str) -> str:
    """The host of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_of_another_site(headers: dict[bytes, bytes], host: str) -> bool:
    site = headers.get(b"sec-fetch-site", b"none").decode("latin-1")
    if site not in ("same-origin", "none"):
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.decode("latin-1") not in (f"http://{host}", f"https://{host}")


def _line(scope: dict[str, Any], status: int, seconds: float, size: int) -> str:
    """What is logged of a request: nothing of its body, its query or the names of its files."""
    client = scope.get("client")
    return (
        f'{{"time": {time.time():.3f}, "client": {_quoted(client[0] if client else None)}, '
        f'"method": {_quoted(scope["method"])}, "route": {_quoted(route_of(scope["path"]))}, "status": {status}, '
        f'"ms": {1000 * seconds:.1f}, "bytes": {size}}}'
    )


@functools.lru_cache(64)
def _quoted(text: str | None) -> str:
    return json.dumps(text)
