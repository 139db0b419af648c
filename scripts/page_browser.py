"""The page in a browser, for tests, measurements and screenshots: a Chromium of this machine, and a small server."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from hwr_jax.web import page_files

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync",
    # Each window would load two pages for the address bar's pop-up: a second of a processor. Chromium heeds only the
    # last list of features, so the others are Playwright's.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,AvoidUnnecessaryBeforeUnloadCheckSync,"
    "DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,PaintHolding,"
    "ThirdPartyStoragePartitioning,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch",
]  # fmt: skip
READY = "html[data-ready=yes]"  # what the page is once its reader has started


def path() -> str | None:
    """Where Chromium is; None: not on PATH."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def started() -> Iterator:
    """A browser, for Playwright.

    Raises:
      SystemExit: there is none.
    """
    from playwright.sync_api import sync_playwright

    found = path()
    if found is None:
        raise SystemExit("needs Chromium on PATH: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


class Server(http.server.ThreadingHTTPServer):
    """Serves the page with its headers, and counts the bytes of files that it sends."""

    daemon_threads = True
    sent = 0

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def end_headers(self):
        for name, value in page_files.HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def copyfile(self, source, outputfile):
        content = source.read()
        cast(Server, self.server).sent += len(content)
        outputfile.write(content)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Writes the page into a folder and serves it."""
    page_files.write(folder)
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write(page, *lines) -> None:
    """Draws lines of points with the mouse; a point is a share of the sheet's width and height."""
    place = page.locator("#paper").bounding_box()
    for line in lines:
        for i, (x, y) in enumerate(line):
            page.mouse.move(place["x"] + x * place["width"], place["y"] + y * place["height"])
            if i == 0:
                page.mouse.down()
        page.mouse.up()
