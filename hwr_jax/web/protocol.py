"""Connections: how long each may take, and how many there may be.

uvicorn waits for ever for the rest of a request's headers, and for a client that does not take its answer. A client
that sends a byte a minute then keeps a connection, and a thousand of them all that there are.
"""

from __future__ import annotations

import collections
import itertools
import socket
from typing import Any

import httptools
from uvicorn.protocols.http import httptools_impl

from hwr_jax.web.limits import Limits
from hwr_jax.web.problems import MEDIA_TYPE, Problem

HEADER_BYTES = 32 * 2**10
_NUMBERS = itertools.count()  # those that are made in one turn of the loop have the same time


class Connection(httptools_impl.HttpToolsProtocol):
    """A connection that knows since when it waits for its client."""

    def __init__(self, *, limits: Limits, **given: Any):
        super().__init__(**given)
        self.parser = _Parser(self)
        self._limits, self._number = limits, next(_NUMBERS)
        self._in_hand: collections.deque[Any] = collections.deque()  # requests without a whole answer, the oldest first
        self._is_half_closed = False  # the client sends nothing more
        self.headers_since: float | None = None  # waits for headers
        self.idle_since: float | None = None  # has answered, and waits for another request
        self.body_since: float | None = None  # waits for the rest of a body
        self.stalled_since: float | None = None  # waits until the client takes its answer
        self._header_bytes = 0  # since something else than headers arrived
        self._are_headers = False  # what arrives now
        self._is_kept = False  # after an answer to the request whose body arrives

    def connection_made(self, transport: Any) -> None:
        """Makes room for it, if there are too many: the one that has waited longest for its client goes."""
        super().connection_made(transport)
        self.headers_since = self.loop.time()
        if len(self.connections) > self._limits.connections:
            others = [(one.waits_since, one._number, one) for one in self._others() if one.waits_since is not None]
            if others:
                min(others)[-1].transport.abort()
            else:
                self._refuse(Problem(503, "the server has as many connections as it may: try again later", close=True))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody hears an answer: neither the newest request, which uvicorn gives up, nor those before it."""
        for cycle in self._in_hand:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # ty: ignore[incompatible-method-override]
        """Keeps the connection for the answers to whole requests: the client may wait for them (RFC 9112, 9.6).

        It may also have gone: the end of what it sends looks the same. A client that waits passes over an interim
        response, and one that has gone answers it with a reset, which `check` notices.
        """
        if self.waits_since is not None:
            return False
        self._is_half_closed, self.cycle.keep_alive = True, False
        oldest = self._in_hand[0]
        if oldest.scope["http_version"] == "1.1" and not oldest.response_started:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    @property
    def waits_since(self) -> float | None:
        """Since when it waits for a request, or for the rest of one; None: it has a whole one in hand."""
        return next((t for t in (self.idle_since, self.headers_since, self.body_since) if t is not None), None)

    def _others(self) -> list[Connection]:
        return [one for one in self.connections if isinstance(one, Connection) and one is not self]

    def data_received(self, data: bytes) -> None:
        """Counts the bytes of headers: of the next request, or those after the chunks of a body."""
        if self.headers_since is None and (self.cycle is None or self.cycle.response_complete):
            self.headers_since, self.idle_since = self.loop.time(), None
        self._are_headers = True
        super().data_received(data)
        if self._are_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(Problem(400, f"the headers have more than the {HEADER_BYTES:,} bytes allowed", close=True))

    def _begins_again(self) -> bool:
        """Whether the request asks for another protocol: then its parser reads it again, without that."""
        return self.parser is not None and self.parser.should_upgrade()

    def on_headers_complete(self) -> None:
        """The request begins."""
        if self._begins_again():
            return
        self._are_headers, self._header_bytes = False, 0
        self.headers_since, self.idle_since = None, None
        self.body_since = self.loop.time()
        super().on_headers_complete()
        self._in_hand.append(self.cycle)
        # An answer before the end of the body ends the connection: the rest would be taken for the next request.
        self._is_kept, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        """More of the body has arrived."""
        self._are_headers, self._header_bytes = False, 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body has arrived."""
        if self._begins_again():
            return
        self._are_headers, self._header_bytes = False, 0
        self.body_since = None
        super().on_message_complete()
        if not (self.cycle.more_body or self.cycle.response_started):
            self.cycle.keep_alive = self._is_kept

    def on_response_complete(self) -> None:
        """The next request may begin."""
        self._in_hand.popleft()
        if not self._in_hand:
            self.idle_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client takes nothing."""
        self.stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has taken something."""
        self.stalled_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP as every other refusal."""
        self._refuse(Problem(400, "the request is no valid HTTP", close=True))

    def check(self, now: float) -> None:
        """Ends the connection if its client takes too long, or has gone."""
        if self.stalled_since is not None and now - self.stalled_since > self._limits.body_s:
            self.transport.abort()
        elif self.headers_since is not None and now - self.headers_since > self._limits.header_s:
            words = f"the headers did not arrive within {self._limits.header_s:g} s"
            self._refuse(Problem(408, words, close=True))
        elif self._is_half_closed and self._is_reset():
            self.transport.abort()

    def _is_reset(self) -> bool:
        """Whether the client has reset the connection; no event loop tells that once nothing more can be received."""
        return self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        body = problem.body()
        head = [httptools_impl.STATUS_LINE[problem.status]]
        head += [name + b": " + value + b"\r\n" for name, value in problem.headers()]
        head += [b"content-type: ", MEDIA_TYPE.encode(), b"\r\ncontent-length: ", str(len(body)).encode()]
        self.transport.write(b"".join([*head, b"\r\n\r\n", body]))
        self.transport.close()


class _Parser:
    """Parses requests. One that asks for another protocol is one of HTTP/1.1 all the same (RFC 9110, 7.8), as Java and
    curl --http2 expect; httptools would take its body for the other protocol.
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self._parser = httptools.HttpRequestParser(connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        """Calls the connection. Raises HttpParserError: this is no HTTP."""
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self._connection)

    def _without_upgrade(self) -> bytes:
        """The request line and the headers once more. Raises HttpParserError if they ask for a proxy."""
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        if method == b"CONNECT":
            raise httptools.HttpParserError("this is no proxy")
        kept = [b"%s: %s" % header for header in self._connection.headers if header[0] != b"upgrade"]
        return b"\r\n".join([b"%s %s HTTP/%s" % (method, self._connection.url, version), *kept, b"", b""])
