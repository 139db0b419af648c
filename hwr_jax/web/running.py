"""The process that serves: its socket, its signals, and its end.

SIGTERM and SIGINT drain: whatever was accepted is answered, each connection ends with its next answer, and the process
exits with 143 or 130 as every command does. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from hwr_jax.core import errors
from hwr_jax.web import app, protocol
from hwr_jax.web.guard import Guard
from hwr_jax.web.limits import Limits
from hwr_jax.web.measures import Measures
from hwr_jax.web.pool import Pool

CODES = {signal.SIGTERM: errors.TERMINATED, signal.SIGINT: errors.INTERRUPTED}
GRACE_S = 1.0  # in which a client that keeps a connection learns, with its next answer, that it ends
BACKLOG = 1024
SWEEP_S = 0.5


def listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens. Raises OSError, which names the address."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:  # os.strerror does not know the numbers of a name that is not found
        words = (error.strerror or str(error)).partition(" (while ")[0]
        raise OSError(error.errno, words, f"{host}, port {port}") from None
    made.setblocking(False)
    return made


def write_line(line: str) -> None:
    """Writes a line of the access log to standard output, if somebody reads it: a request is answered in any case."""
    with contextlib.suppress(OSError, ValueError):
        print(line)


def url(own: socket.socket, host: str) -> str:
    """Returns the address under which a browser on this machine finds the server."""
    port = own.getsockname()[1]
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(
    own: socket.socket,
    pool: Pool,
    limits: Limits,
    measures: Measures,
    *,
    key: str | None,
    proxies: str,
    log: Callable[[str], object] | None,
    say: Callable[[str], object],
    where: str,
) -> None:
    """Serves until a signal comes. Raises Stopped, with the exit code; or StartError if no process can read.

    Args:
      own: the socket.
      pool, limits, measures: as in `app.Server`.
      key, log: as in `Guard`.
      proxies: addresses, separated by commas, whose X-Forwarded-For names the client; "": none.
      say: called with a sentence when the server is ready, and when it ends.
      where: the URL, for the first of them.
    """
    shared = app.Server(pool, limits, measures)
    failed: list[BaseException] = []
    tasks: list[asyncio.Task[Any]] = []

    def begin() -> None:
        tasks.extend(pool.start())
        for task in tasks:
            task.add_done_callback(ended)
        tasks.append(asyncio.create_task(_sweep(server.server_state.connections)))
        tasks.append(asyncio.create_task(_say_when_ready(pool, say, where)))

    def ended(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()):
            failed.append(error)
            server.should_exit = True

    guarded = app.make(shared, key=key, log=log, begin=begin)
    config = uvicorn.Config(
        guarded,
        http=functools.partial(protocol.Connection, limits=limits),  # ty: ignore[invalid-argument-type]
        ws="none",
        loop="auto",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        timeout_keep_alive=round(limits.idle_s),
        timeout_graceful_shutdown=round(limits.drain_s),
        backlog=BACKLOG,
    )
    for name in ("uvicorn.error", "python_multipart"):  # what they warn of is in the answer
        logging.getLogger(name).setLevel(logging.ERROR)
    server = _Server(config, guarded, shared, own)
    shared.connections = lambda: len(server.server_state.connections)
    server.run(sockets=[own.dup()])  # its own, so that the last connections can be taken from the other one
    if failed:
        raise failed[0]
    number = server.signal or signal.SIGTERM
    raise errors.Stopped(CODES[number], f"{number.name}: {server.server_state.total_requests} requests were answered")


async def _sweep(connections: set[Any]) -> None:
    """Ends connections that take too long, and writes out the log, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        for one in list(connections):
            one.check(loop.time())
        _flush()


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads
        sys.stdout.flush()


async def _say_when_ready(pool: Pool, say: Callable[[str], object], where: str) -> None:
    while not pool.ready:
        await asyncio.sleep(0.02)
    say(f"reading pictures at {where}")


class _Server(uvicorn.Server):
    """Tells its connections that it ends before it ends them."""

    def __init__(self, config: uvicorn.Config, guard: Guard, shared: app.Server, own: socket.socket):
        super().__init__(config)
        self.signal: signal.Signals | None = None
        self._own = own
        self._guard, self._shared = guard, shared

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Has the signals end the server; they are not sent again, for `serve` raises Stopped."""
        old = {number: signal.signal(number, self._handle) for number in CODES}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _: Any) -> None:
        if self.signal is not None:
            os._exit(CODES[signal.Signals(number)])
        self.signal = signal.Signals(number)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends connections with their next answer, then those that have none, then the process.

        A connection that the system has taken, but not this process, counts as accepted: it is taken before the socket
        is closed, and its request answered.
        """
        self._guard.draining = self._shared.draining = True
        await self._while_connected()
        for server in self.servers:
            server.close()
        await self._take_last()
        await self._while_connected()
        await super().shutdown(sockets)
        _flush()

    async def _while_connected(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + GRACE_S
        while self.server_state.connections and loop.time() < until:
            await asyncio.sleep(0.02)

    async def _take_last(self) -> None:
        taken = []
        with contextlib.suppress(OSError):  # BlockingIOError: there are no more
            while True:
                taken.append(self._own.accept()[0])
        self._own.close()
        for one in taken:
            one.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, one)

    def _connection(self) -> protocol.Connection:
        return protocol.Connection(
            limits=self._shared.limits,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
