"""The routes: reading, health, counters, the documentation and the page."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hwr_jax.web import bodies, documentation, openapi, page_files
from hwr_jax.web.guard import Guard
from hwr_jax.web.limits import Limits
from hwr_jax.web.measures import Measures
from hwr_jax.web.pool import Full, Pool, Reading
from hwr_jax.web.problems import STATUSES, Problem

MEDIA_TYPES = {  # of the page's files, by suffix; none is guessed from a table of the system
    "css": "text/css; charset=utf-8",
    "gz": "application/gzip",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "mjs": "text/javascript; charset=utf-8",
    "onnx": "application/octet-stream",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
}
READS = ("/v1/predict", "/v1/scan")
OTHER = "application/octet-stream"
CACHED = "no-cache"  # kept, but asked for anew: the ETag answers that


class PageFile(NamedTuple):
    """A file of the page, as it is sent."""

    content: bytes
    media_type: str
    etag: str


class Server:
    """What the routes share."""

    def __init__(self, pool: Pool, limits: Limits, measures: Measures):
        self.pool, self.limits, self.measures = pool, limits, measures
        self.room = bodies.Room(limits.held_bytes)
        self.connections: Callable[[], int] = lambda: 0
        self.draining = False
        self._in_hand: collections.Counter[str] = collections.Counter()  # pictures of each client
        own = {"docs.css": documentation.STYLE, "docs.svg": documentation.ICON}
        self._files = {path: _page_file(path, text.encode()) for path, text in own.items()}
        self.paths = [*own, *page_files.names()]
        self._making = asyncio.Lock()

    async def read(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/predict and /v1/scan, as an ASGI application. Raises Problem, ClientDisconnect."""
        kind = scope["path"].rpartition("/")[2]
        with self.room.taken() as share:
            if self.pool.waiting >= self.limits.queue:  # before the body is received
                raise self._full()
            options = bodies.options(kind, scope["query_string"])
            if kind == "scan" and self.pool.facts.get("reads_strings"):
                raise Problem(409, "this model reads lines, and a page is read character by character: use /v1/predict")
            pictures = await bodies.pictures(scope, receive, self.limits, share)
            client = scope["client"][0] if scope.get("client") else ""
            self._take(client, len(pictures))
            try:
                readings = await _while_heard(receive, self.pool.read(kind, options, pictures))
            except Full:
                raise self._full() from None
            finally:
                self._give_back(client, len(pictures))
        read = sum(one.is_read for one in readings)
        self.measures.pictured(kind, read, len(readings) - read)
        if not read:
            raise _unread(readings)
        body = b"[" + b",".join([one.text for one in readings]) + b"]"
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _full(self) -> Problem:
        return Problem(503, f"{self.limits.queue} pictures are already waiting, which is the limit: try again later")

    def _take(self, client: str, count: int) -> None:
        """Refuses a client that has too many pictures waiting or being read."""
        if self._in_hand[client] + count > self.limits.per_client:
            most = self.limits.per_client
            raise Problem(429, f"a client may have {most} pictures waiting or being read: wait for answers")
        self._in_hand[client] += count

    def _give_back(self, client: str, count: int) -> None:
        self._in_hand[client] -= count
        if not self._in_hand[client]:
            del self._in_hand[client]

    async def healthz(self, request: Request) -> Response:
        """GET /healthz: this process answers."""
        return Response(b'{"status": "ok"}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        """GET /readyz: it can read, and is not shutting down. Raises Problem, which answers 503."""
        if self.draining:
            raise Problem(503, "the server is shutting down")
        if not self.pool.ready:
            raise Problem(503, "the model is being loaded")
        return Response(json.dumps({"status": "ready", "model": self.pool.facts}), media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """GET /metrics."""
        self.measures.waiting.set(self.pool.waiting)
        self.measures.held.set(self.room.held)
        self.measures.ready.set(self.pool.ready)
        self.measures.connections.set(self.connections())
        return Response(self.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return Response(json.dumps(openapi.document(self.limits)), media_type="application/json")

    async def docs(self, request: Request) -> Response:
        """GET /docs."""
        return Response(documentation.page(self.limits), media_type=MEDIA_TYPES["html"])

    async def page(self, request: Request) -> Response:
        """GET / and the files of the page."""
        path = request.scope["path"].removeprefix("/") or "index.html"
        async with self._making:
            if path not in self._files:  # the first time: it takes half a second
                made = await asyncio.to_thread(page_files.files)
                self._files |= {name: _page_file(name, content) for name, content in made.items()}
        file = self._files[path]
        headers = {"etag": file.etag, "cache-control": CACHED}
        asked = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
        if file.etag in asked or "*" in asked:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers | {"content-type": file.media_type})


def _page_file(path: str, content: bytes) -> PageFile:
    return PageFile(
        content,
        MEDIA_TYPES.get(path.rpartition(".")[2].lower(), OTHER),
        f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )


async def _while_heard(receive: Receive, work: Coroutine[Any, Any, list[Reading]]) -> list[Reading]:
    """Returns what `work` returns. Cancels it and raises ClientDisconnect if the client goes first."""
    own, has_gone = asyncio.current_task(), False
    assert own

    async def departure() -> None:
        nonlocal has_gone
        with contextlib.suppress(Exception):
            while (await receive())["type"] != "http.disconnect":
                pass
        has_gone = True
        own.cancel()

    gone = asyncio.create_task(departure())
    try:
        return await work
    except asyncio.CancelledError:
        if has_gone and not own.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        gone.cancel()


def _unread(readings: list[Reading]) -> Problem:
    """What is answered if nothing could be read: the reason, or each."""
    errors = [json.loads(one.text) for one in readings]
    if len(errors) == 1:
        return Problem(422, errors[0]["error"])
    return Problem(422, f"none of the {len(errors)} pictures could be read", errors=errors)


async def _refused(request: Request, error: Exception) -> Response:
    """What Starlette refuses, as every other refusal: no such page, or not with this method."""
    assert isinstance(error, HTTPException)
    words = STATUSES.get(error.status_code, "The request is refused.")
    problem = Problem(error.status_code, words[:1].lower() + words[1:-1])
    return _response(problem, dict(error.headers or {}))


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _response(error, {})


def _response(problem: Problem, more: dict[str, str]) -> Response:
    headers = {name.decode(): value.decode() for name, value in problem.headers()} | more
    return Response(problem.body(), problem.status, headers, "application/problem+json")


def make(
    server: Server, *, key: str | None, log: Callable[[str], object] | None, begin: Callable[[], Any] | None = None
) -> Guard:
    """Returns the ASGI application.

    Args:
      server: what the routes share.
      key, log: see `Guard`.
      begin: called when the application starts, within its event loop; None: starts the pool.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        (begin or server.pool.start)()
        try:
            yield
        finally:
            await server.pool.close()

    reads = _Reads(server)
    routes = [
        *(Route(path, reads, methods=["POST"]) for path in READS),
        Route("/healthz", server.healthz),
        Route("/readyz", server.readyz),
        Route("/metrics", server.metrics),
        Route("/openapi.json", server.openapi),
        Route("/docs", server.docs),
        *(Route(f"/{path}", server.page) for path in ("", *server.paths) if path or "index.html" in server.paths),
    ]
    handlers: Any = {HTTPException: _refused, Problem: _problem}
    inner = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    inner.router.redirect_slashes = False  # it would redirect to http://, whatever a proxy speaks to the client
    return Guard(_Routes(inner, reads), key=key, measures=server.measures, log=log)


class _Reads:
    """The two routes that read."""

    def __init__(self, server: Server):
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._server.read(scope, receive, send)
        except ClientDisconnect:  # nobody hears this
            await send({"type": "http.response.start", "status": 400, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})


class _Routes:
    """All routes: those that read, and those of Starlette, whose way to a route takes as long as a digit's answer."""

    def __init__(self, others: Starlette, reads: _Reads):
        self._others, self._reads = others, reads
        self.routes = others.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in READS:
            await self._reads(scope, receive, send)
        else:
            await self._others(scope, receive, send)
