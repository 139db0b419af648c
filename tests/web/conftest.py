"""The application in this process: real readings of the shipped model, without processes or sockets.

And a browser, with the page served as any host serves it: tests that use them have the marker `browser`.
"""

import asyncio
import io
import json

import httpx
import page_visit
import pytest

from hwr_jax.web import app, worker
from hwr_jax.web.limits import Limits
from hwr_jax.web.measures import Measures
from hwr_jax.web.pool import Full, Reading
from scripts import page_browser


@pytest.fixture(scope="session")
def model():
    from hwr_jax.inference import packaged

    return packaged.model()


class Inside:
    """What a pool does, in this process and at once."""

    def __init__(self, model, limits):
        self.model, self.limits = model, limits
        self.facts = {"reads_strings": False}
        self.waiting, self.ready, self.closed = 0, 1, False
        self.hold = None  # an event to wait for before a picture is read

    def start(self):
        return []

    async def close(self):
        self.closed = True

    async def read(self, kind, options, pictures):
        if self.waiting + len(pictures) > self.limits.queue:
            raise Full
        if self.hold:
            await self.hold.wait()
        allowed = {"pixels": self.limits.pixels, "pages": self.limits.pages}
        made = [one for some in worker.items(self.model, kind, options, pictures, allowed) for one in some]
        return [Reading(is_read, text) for _, is_read, text in sorted(made, key=lambda one: one[0])]


class Asked:
    """An application and a way to ask it."""

    def __init__(self, pool, key, limits):
        self.pool, self.lines = pool, []
        self.server = app.Server(pool, limits, Measures())
        self.application = app.make(self.server, key=key, log=self.lines.append)

    async def send(self, method, path, **more):
        transport = httpx.ASGITransport(app=self.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            return await client.request(method, path, **more)

    def __call__(self, method, path, **more):
        return asyncio.run(self.send(method, path, **more))

    def raw(self, method, path, *messages):
        """The status of a request whose path is sent as it is, with what is received of its client."""
        sent, left = [], iter(messages)
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        scope |= {"scheme": "http", "http_version": "1.1", "root_path": "", "client": None, "server": None}

        async def receive():
            return next(left)

        async def send(message):
            sent.append(message)

        asyncio.run(self.application(scope | {"headers": [(b"host", b"localhost")]}, receive, send))
        return sent[0]["status"]

    def post(self, path, content, kind="image/png", headers=None, **more):
        return self("POST", path, content=content, headers={"content-type": kind, **(headers or {})}, **more)


@pytest.fixture(scope="session")
def serving(model):
    """Returns make(key=None, **limits): the application to ask."""

    def make(key=None, **given):
        limits = Limits()._replace(**given)
        return Asked(Inside(model, limits), key, limits)

    return make


@pytest.fixture(scope="session")
def digit():
    """A digit as a PNG."""
    return png([((30, 10), (34, 50))])


def png(strokes, size=(64, 64), form="PNG"):
    from PIL import Image, ImageDraw

    picture, file = Image.new("L", size, 235), io.BytesIO()
    for stroke in strokes:
        ImageDraw.Draw(picture).line(stroke, fill=30, width=5)
    picture.save(file, form)
    return file.getvalue()


@pytest.fixture(scope="session")
def pages():
    """Two pages, blank and with a digit, as a TIFF."""
    from PIL import Image

    file = io.BytesIO()
    first, second = (Image.open(io.BytesIO(png(s, (200, 120)))) for s in ([], [((100, 30), (104, 90))]))
    first.save(file, "TIFF", save_all=True, append_images=[second])
    return file.getvalue()


def problem(answer):
    """The status and the sentence of a refusal, which has its media type."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert body["status"] == answer.status_code
    return answer.status_code, body["detail"]


@pytest.fixture(scope="session")
def refused():
    return problem


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the page, once `server` has written it."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def server(site):
    """The page at `server.url`."""
    with page_browser.served(site) as serving:
        yield serving


@pytest.fixture(scope="session")
def chromium():
    """The path of this machine's Chromium; the test is skipped where there is none."""
    if page_browser.path() is None:
        pytest.skip("needs Chromium: install Debian's package chromium")
    pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'hwr_jax[dev]'")
    return page_browser.path()


@pytest.fixture(scope="module")
def browser(chromium):
    """A Chromium of this machine.

    Of one file of tests: while it is open, its event loop runs in this thread, and `asyncio.run` fails.
    """
    with page_browser.started() as browser:
        yield browser


class Errors(list):
    """The errors in the console of a page."""

    def watch(self, page):
        page.on("console", lambda message: message.type == "error" and self.append(message.text))
        page.on("pageerror", lambda error: self.append(str(error)))
        return page


@pytest.fixture(scope="module")
def opened(browser, server):
    """Returns opened(**options): (page, errors) in a context of its own, with the reader ready."""
    contexts = []

    def make(url=server.url, **options):
        contexts.append(browser.new_context(**options))
        errors = Errors()
        page = errors.watch(contexts[-1].new_page())
        page.goto(url)
        page.wait_for_selector(page_browser.READY)
        return page, errors

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shared_page(opened):
    """The page of a desktop."""
    return opened(viewport=page_visit.DESK)


@pytest.fixture
def page(shared_page):
    """The same, with an empty sheet, in the mode auto; the test fails if the console reports anything."""
    made, errors = shared_page
    page_visit.clear(made)
    page_visit.mode(made, "auto")
    yield made
    assert errors == []
