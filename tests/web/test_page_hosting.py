"""Where the page comes from, in a real browser: a host, its cache without a network, a newer version, a file."""

import io
import os
import re
import time

import pytest
from page_visit import PHONE, SETTLED, THREE, composed, hand_over, png, remembers, said, text
from PIL import Image

from hwr_jax.web import page_files
from scripts import page_browser
from scripts.page_browser import READY, write

pytestmark = pytest.mark.browser


def test_without_a_network_the_page_opens_and_reads(opened):
    page, errors = opened(viewport=PHONE)
    remembers(page)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector(READY)
    write(page, THREE)
    said(page)
    assert text(page) == "3"
    assert errors == []


@pytest.fixture
def host(tmp_path):
    """A server of its own, whose folder a test changes."""
    with page_browser.served(tmp_path) as serving:
        yield serving


def test_another_program_at_the_address_gets_it(opened, host, tmp_path):
    page, _ = opened(host.url)
    remembers(page)
    (tmp_path / "files.js").unlink()
    (tmp_path / "index.html").write_text("<title>Another</title><link rel=stylesheet href=style.css>")
    (tmp_path / "style.css").write_text("body { color: rgb(1, 2, 3) }")
    page.reload()
    assert page.title() == "Another"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
    assert page.evaluate("caches.keys()") == []
    page.reload()
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0


def until(page, is_so):
    """Waits for something that the browser tells."""
    end = time.monotonic() + SETTLED / 1000
    while not is_so():
        assert time.monotonic() < end
        page.wait_for_timeout(20)


SHOWN = "[document.title, getComputedStyle(document.body).outlineColor === 'rgb(1, 2, 3)', HWR.VERSION.slice(0, 3)]"


def test_a_newer_version_waits_until_no_page_of_the_old_one_is_open(opened, host, tmp_path):
    page, errors = opened(host.url)
    remembers(page)
    newer = {name: (tmp_path / name).read_text() for name in ("files.js", "index.html", "style.css")}
    newer["files.js"] = re.sub('VERSION = "', 'VERSION = "new', newer["files.js"])
    newer["index.html"] = newer["index.html"].replace("<title>Read", "<title>New: read")
    newer["style.css"] += "body { outline-color: rgb(1, 2, 3) }"
    for name, content in newer.items():
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, (time.time() + 5,) * 2)
    page.reload()
    page.wait_for_selector(READY)
    # A browser looks for a newer version some time after a page has opened: until then there is nothing to wait for.
    page.evaluate("""async () => {
        const registration = await navigator.serviceWorker.getRegistration();
        while (!registration.waiting) await new Promise((resolve) => setTimeout(resolve, 50));
    }""")
    page.reload()
    page.wait_for_selector(READY)
    assert page.evaluate(SHOWN)[:2] == ["Read handwritten digits", False]
    assert page.evaluate(SHOWN)[2] != "new"
    second = page.context.new_page()
    devtools = second.context.new_cdp_session(second)
    state = {}  # of each worker
    devtools.on(
        "ServiceWorker.workerVersionUpdated",
        lambda news: state.update({one["versionId"]: one["status"] for one in news["versions"]}),
    )
    devtools.send("ServiceWorker.enable")
    until(second, lambda: "installed" in state.values())
    page.close()
    until(second, lambda: "installed" not in state.values())  # the browser ends the old page after it has closed it
    second.goto(host.url)
    second.wait_for_selector(READY)
    assert second.evaluate(SHOWN) == ["New: read handwritten digits", True, "new"]
    assert len(second.evaluate("caches.keys()")) == 1  # the old files are gone
    assert errors == []


def test_pages_in_two_folders_of_a_host_keep_each_its_own_files(opened, host, tmp_path):
    page, errors = opened(host.url)
    remembers(page)
    page_files.write(tmp_path / "newer")
    files = tmp_path / "newer" / "files.js"
    files.write_text(re.sub('VERSION = "', 'VERSION = "new', files.read_text()))
    page.goto(f"{host.url}newer/")
    page.wait_for_selector(READY)
    remembers(page)
    page.context.set_offline(True)
    for folder in ("newer/", ""):
        page.goto(host.url + folder)
        page.wait_for_selector(READY)
        assert page.evaluate("HWR.VERSION").startswith("new") == bool(folder)
    assert errors == []


def test_the_first_load_is_small_and_nothing_is_asked_for_after_it(opened, server):
    before = server.sent
    page, errors = opened()
    remembers(page)
    assert 0 < server.sent - before <= 1.5e6
    asked = []
    page.context.on("request", lambda request: asked.append(request.url))
    write(page, THREE)
    said(page)
    hand_over(page, "drop", png(composed(2, [3])))
    page.locator("#source:not(:empty)").wait_for()
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert errors == []


def test_the_page_works_from_a_double_click_on_the_file(opened, site):
    page, errors = opened((site / "index.html").as_uri())
    write(page, THREE)
    said(page)
    assert text(page) == "3"
    assert errors == []


def test_the_page_can_be_installed(opened):
    page, _ = opened()
    devtools = page.context.new_cdp_session(page)
    assert devtools.send("Page.getAppManifest")["errors"] == []
    problems = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {problem["errorId"] for problem in problems} <= {"in-incognito"}  # as each context of a test is
    for name in ("icon-192", "icon-512", "favicon"):
        icon = Image.open(io.BytesIO(page_files.files()[f"icons/{name}.png"]))
        assert icon.width == icon.height == {"icon-192": 192, "icon-512": 512, "favicon": 48}[name]
