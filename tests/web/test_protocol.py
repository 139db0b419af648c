"""Connections with several requests, and those whose client sends nothing more: it waits for answers, or has gone."""

import asyncio
import contextlib
import socket
import struct
import time

import pytest
import uvicorn
from uvicorn.server import ServerState

from hwr_jax.web import protocol
from hwr_jax.web.limits import Limits

uvloop = pytest.importorskip("uvloop", reason="needs uvloop: pip install 'hwr_jax[serve]'")
GET = "GET /{} HTTP/{}\r\nhost: localhost\r\n\r\n"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
BOTH_LOOPS = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)


class Slow:
    """An application that answers as often as it is let go, and notes whose clients go before that."""

    def __init__(self):
        self.begun, self.gone = [], []
        self.let_go = asyncio.Semaphore(0)

    async def __call__(self, scope, receive, send):
        self.begun.append(scope["path"])
        assert (await receive())["type"] == "http.request"
        wait = asyncio.create_task(self.let_go.acquire())
        left = asyncio.create_task(receive())
        await asyncio.wait([wait, left], return_when=asyncio.FIRST_COMPLETED)
        if wait.done():
            left.cancel()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"whole"})
        else:
            wait.cancel()
            self.gone.append(scope["path"])


@contextlib.asynccontextmanager
async def listening(app):
    """Yields (port, connections) of a server in this process."""
    config = uvicorn.Config(app, ws="none", log_config=None)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    make = lambda: protocol.Connection(limits=Limits(), config=config, server_state=state, app_state={})  # noqa: E731
    server = await loop.create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], state.connections
    finally:
        server.close()
        for _ in state.tasks:
            app.let_go.release()
        await asyncio.gather(*state.tasks)


async def until(is_so):
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def run(loop, test):
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())


@BOTH_LOOPS
@pytest.mark.parametrize(
    ("sent", "interim", "answers"),
    [
        (GET.format(1, "1.1"), 1, 1),
        (GET.format(1, "1.0"), 0, 1),  # RFC 9110, 15.2: it may not know of interim responses
        (GET.format(1, "1.1") + GET.format(2, "1.1"), 1, 2),
        (GET.format(1, "1.1") + "GET /cut", 1, 1),
    ],
    ids=["one", "HTTP/1.0", "two", "one and a part"],
)
def test_a_client_that_sends_nothing_more_gets_its_answers_and_then_the_end(loop, sent, interim, answers):
    async def test():
        app = Slow()
        async with listening(app) as (port, connections):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent.encode())
            await until(lambda: app.begun)
            writer.write_eof()
            await until(lambda: all(one._is_half_closed for one in connections))
            for one in list(connections):
                one.check(0)
            for _ in range(answers):
                app.let_go.release()
            found = await reader.read()
            assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP" if interim else b"HTTP/1.1 200")
            assert [found.count(part) for part in (b" 100 ", b"whole", b"connection: close")] == [interim, answers, 1]
            writer.close()

    run(loop, test)


@BOTH_LOOPS
@pytest.mark.parametrize("how", ["closes", "resets", "closes its end, and resets"])
def test_the_requests_of_a_client_that_goes_are_given_up(loop, how):
    async def test():
        app = Slow()
        async with listening(app) as (port, connections):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall((GET.format(1, "1.1") + GET.format(2, "1.1")).encode())
            await until(lambda: app.begun)
            if "its end" in how:
                client.shutdown(socket.SHUT_WR)
                await until(lambda: [one._is_half_closed for one in connections] == [True])
            if "resets" in how:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await until(lambda: [one.check(0) for one in list(connections)] == [])
            await until(lambda: app.gone)
            assert app.gone == app.begun == ["/1"]

    run(loop, test)


def test_a_connection_waits_for_its_client_once_all_its_requests_are_answered():
    async def test():
        app = Slow()
        async with listening(app) as (port, connections):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(2 * GET.format(1, "1.1").encode())
            for waits in (False, True):
                app.let_go.release()
                await reader.readuntil(b"whole")
                [one] = connections
                assert (one.waits_since is not None) == waits
            writer.close()
            await until(lambda: not connections)

    run(asyncio.new_event_loop, test)
