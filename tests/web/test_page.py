"""The page in a real browser: write, drop, paste, choose; what it says; offline, by keyboard, for a screen reader."""

import io
import json
import os
import re
import time
import zipfile
from importlib import resources

import numpy as np
import pen_strokes
import pytest
from PIL import Image

from hwr_jax import data
from hwr_jax.data import drawn, folder, pages
from hwr_jax.inference import packaged, scan
from hwr_jax.pictures.tables import Reading
from hwr_jax.web import page_files
from scripts import page_browser
from scripts.page_browser import READY, write

pytestmark = pytest.mark.browser
SETTLED = 20_000  # milliseconds: the machine may be busy
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
THREE = [(0.42, 0.22), (0.53, 0.17), (0.58, 0.28), (0.49, 0.45), (0.6, 0.56), (0.57, 0.75), (0.42, 0.77)]
ONE = [(0.5, 0.2), (0.5, 0.8)]


@pytest.fixture(scope="module")
def shared_page(opened):
    """The page of a desktop."""
    return opened(viewport=DESK)


@pytest.fixture
def page(shared_page):
    """The same, with an empty sheet, in the mode auto; the test fails if the console reports anything."""
    made, errors = shared_page
    clear(made)
    mode(made, "auto")
    yield made
    assert errors == []


def clear(page):
    if page.is_enabled("#clear"):
        page.click("#clear")
    said(page, "")


def mode(page, value):
    page.check(f"input[name=mode][value={value}]", force=True)


def said(page, expected=None):
    """What the page says once it has read what is on the sheet."""
    expect = pytest.importorskip("playwright.sync_api").expect
    spoken = page.locator("#said")
    if expected is None:
        expect(spoken).not_to_have_text("", timeout=SETTLED)
    else:
        expect(spoken).to_have_text(expected, timeout=SETTLED)
    return spoken.inner_text()


def text(page):
    return page.locator("#text").inner_text()


def seen(page):
    """The image that the network sees, uint8 [28, 28]."""
    pixels = "Array.from(document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data)"
    return np.array(page.evaluate(pixels), np.uint8).reshape(28, 28, 4)[..., 0]


def png(grey):
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def composed(seed, lengths, **options):
    images, labels = drawn.draw(sum(lengths), seed=seed)
    rng = np.random.default_rng(seed)
    return pages.compose(rng, images.reshape(-1, 28, 28), labels, lengths, **options).grey


def hand_over(page, kind, content, name="picture.png"):
    """Drops a file on the page, or pastes it."""
    page.evaluate(
        """({kind, bytes, name}) => {
            const files = new DataTransfer();
            files.items.add(new File([Uint8Array.from(bytes)], name, {type: "image/png"}));
            const event = kind === "paste"
                ? new ClipboardEvent("paste", {clipboardData: files, bubbles: true, cancelable: true})
                : new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event);
        }""",
        {"kind": kind, "bytes": list(content), "name": name},
    )


def test_a_written_digit_is_read_with_its_probabilities_and_what_the_network_sees(page):
    write(page, THREE)
    assert said(page).startswith("Read with")
    assert text(page) == "3"
    rows = page.locator("#bars tr")
    assert rows.count() == 11
    assert page.locator("#bars tr.best th").inner_text() == "3"
    assert page.locator("#bars tr:last-child th").inner_text() == "not a digit"
    assert packaged.model().predict(seen(page)[None])[0].argmax() == 3
    page.click("#undo")
    assert text(page) == "Write a digit, or add a picture."
    assert page.is_disabled("#undo")


def test_several_written_digits_are_read_as_a_line_and_each_can_be_looked_at(page):
    first, second = ([(x + right, 0.5 * y + 0.25) for x, y in THREE] for right in (-0.3, 0.0))
    write(page, first, second, [(0.8, 0.35), (0.8, 0.65)])
    said(page)
    assert text(page) == "331"
    assert page.locator("#which").inner_text() == "Digit, 1 of 3"
    page.click("#after")
    page.click("#after")
    assert page.locator("#which").inner_text() == "Digit, 3 of 3"
    assert page.locator("#bars tr.best th").inner_text() == "1"


def test_what_is_no_digit_is_called_so(page):
    write(page, [(0.42 + 0.16 * (i % 2), 0.3 + 0.045 * i) for i in range(9)])  # a zigzag
    said(page)
    assert text(page) == "Not a digit"
    assert page.locator("#bars tr.best th").inner_text() == "not a digit"


def trial(page, image):
    """What the page reads when an image of MNIST is written on it."""
    clear(page)
    place = page.locator("#paper").bounding_box()
    zoom = 0.03 * place["height"]
    at = lambda x, y: (0.5 + zoom * (x - 14) / place["width"], 0.5 + zoom * (y - 14) / place["height"])  # noqa: E731
    write(page, *[[at(x, y) for x, y in line] for line in pen_strokes.strokes(image)])
    said(page)
    return text(page)


@pytest.fixture(scope="module")
def mnist_test():
    return data.load("mnist", log=lambda line: None).test


@pytest.mark.mnist
def test_digits_of_mnist_are_read_as_they_are_written(page, mnist_test):
    read = [trial(page, image[..., 0]) for image in mnist_test.image[:12]]
    assert sum(one == str(label) for one, label in zip(read, mnist_test.label, strict=False)) >= 11


@pytest.mark.mnist
@pytest.mark.exhaustive
def test_of_a_hundred_digits_of_mnist_98_are_read(page, mnist_test):
    read = [trial(page, image[..., 0]) for image in mnist_test.image[:100]]
    assert sum(one == str(label) for one, label in zip(read, mnist_test.label, strict=False)) >= 98


def test_a_dropped_photograph_reads_as_hwr_scan_reads_it(page):
    grey = composed(1, [4, 5], desk=True, tilt_deg=6.0, paper="ruled", digit_px=36.0)
    hand_over(page, "drop", png(grey))
    said(page)
    expected = scan.scan(packaged.model(), grey)
    assert text(page) == expected.text
    assert expected.notes[0][1:] in page.locator("#remarks").inner_text()
    assert page.locator("#source").inner_text() == f"picture.png, {grey.shape[1]} x {grey.shape[0]} pixels"


def test_a_pasted_and_a_chosen_page_read_as_hwr_scan_reads_them(page):
    for seed, give in ((2, "paste"), (3, "choose")):
        grey = composed(seed, [3, 5, 4], shadow=0.3)
        clear(page)
        if give == "paste":
            hand_over(page, "paste", png(grey))
        else:
            page.set_input_files("#choose", {"name": "page.png", "mimeType": "image/png", "buffer": png(grey)})
        said(page)
        assert text(page) == scan.scan(packaged.model(), grey).text
    mode(page, "line")
    page.locator("#remarks li").first.wait_for()
    assert text(page) == scan.scan(packaged.model(), grey, mode="line").text


def test_a_touched_box_shows_its_digit(page):
    grey = composed(2, [3, 5, 4])
    hand_over(page, "drop", png(grey))
    said(page)
    x, y, w, h = scan.scan(packaged.model(), grey).digits[6].box
    place = page.locator("#paper").bounding_box()
    scale = min(place["width"] / grey.shape[1], place["height"] / grey.shape[0])
    left, top = (place["width"] - scale * grey.shape[1]) / 2, (place["height"] - scale * grey.shape[0]) / 2
    page.mouse.click(place["x"] + left + scale * (x + w / 2), place["y"] + top + scale * (y + h / 2))
    assert page.locator("#which").inner_text() == "Digit, 7 of 12"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no picture", "this browser cannot read it as a picture"),
        (png(np.zeros((2, 50), np.uint8)), "each side needs at least 4"),
        (png(np.zeros((5, 300), np.uint8)), "at most 40 times"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(page, content, reason):
    hand_over(page, "drop", content, name="wrong.png")
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page.locator("#said")).to_contain_text("wrong.png: ", timeout=SETTLED)
    assert reason in page.locator("#said").inner_text()
    page.reload()
    page.wait_for_selector(READY)


def test_everything_works_with_the_keyboard_alone(page):
    page.locator("#paper").focus()
    page.keyboard.press("Space")
    for _ in range(7):
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    said(page)
    assert text(page) == "1"
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"choose", "text", "0", "9", "What it must not decide alone"} <= set(reached)
    page.locator("#paper").focus()
    page.keyboard.press("Control+z")
    assert text(page) == "Write a digit, or add a picture."


@pytest.mark.parametrize("how", ["clear", "undo", "delete", "drop"])
def test_what_empties_the_sheet_lifts_the_pen(page, how):
    place = page.locator("#paper").bounding_box()
    middle = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    doing = {
        "clear": lambda: page.evaluate("document.getElementById('clear').click()"),
        "undo": lambda: page.evaluate("document.getElementById('undo').click()"),
        "delete": lambda: page.keyboard.press("Delete"),
        "drop": lambda: hand_over(page, "drop", png(composed(2, [3]))),
    }
    for down, move, up in (
        (page.mouse.down, lambda: page.mouse.move(middle[0] + 40, middle[1] + 40), page.mouse.up),
        (
            lambda: page.keyboard.press("Space"),
            lambda: page.keyboard.press("Shift+ArrowRight"),
            lambda: page.locator("#paper").blur(),
        ),
    ):
        page.mouse.move(*middle)
        page.locator("#paper").focus()
        down()
        doing[how]()
        if how == "drop":
            page.locator("#source:not(:empty)").wait_for()
        move()
        assert page.is_enabled("#clear") == (how == "drop")  # nothing more is written
        up()
        clear(page)
        write(page, THREE)
        said(page)
        assert text(page) == "3"
        clear(page)


def kept(page, expected):
    """Waits until the page keeps these labels, in the order of their first correction."""
    get = """() => new Promise((resolve, reject) => {
        const opened = indexedDB.open("hwr", 1);
        opened.onerror = reject;
        opened.onsuccess = () => {
            const all = opened.result.transaction("lessons").objectStore("lessons").getAll();
            all.onerror = reject;
            all.onsuccess = () => {
                opened.result.close();
                resolve(all.result.map((one) => one.label).join(""));
            };
        };
    })"""
    count = f"{len(expected)} correction{'s' if len(expected) > 1 else ''} kept" if expected else ""
    pressed = page.locator("#labels button[aria-pressed=true]")
    expect = pytest.importorskip("playwright.sync_api").expect
    if expected:
        expect(page.locator("#kept")).to_contain_text(count)
        expect(pressed).to_have_text(expected[-1:])
    else:
        expect(page.locator("#lessons")).to_be_hidden()
        expect(pressed).to_have_count(0)
    assert page.evaluate(get) == expected


def test_a_correction_is_replaced_and_taken_back(page):
    press = lambda label: page.click(f"#labels button:text-is('{label}')")  # noqa: E731
    write(page, THREE)
    said(page)
    press(8)
    kept(page, "8")
    press(5)
    kept(page, "5")
    mode(page, "page")  # the same image again
    said(page)
    kept(page, "5")
    press(9)
    kept(page, "9")
    page.reload()
    page.wait_for_selector(READY)
    write(page, THREE)
    said(page)
    kept(page, "9")
    press(9)
    kept(page, "")


def test_a_browser_that_cannot_keep_corrections_is_reported_and_the_page_reads(opened):
    page, errors = opened()
    page.evaluate("() => { IDBObjectStore.prototype.add = () => { throw new Error('no room'); } }")
    write(page, THREE)
    said(page)
    page.click("#labels button:text-is('8')")
    said(page, "The corrections could not be changed: no room")
    assert page.locator("#labels button[aria-pressed=true]").count() == 0
    page.add_init_script("IDBObjectStore.prototype.getAll = () => { throw new Error('broken'); }")
    page.reload()
    page.wait_for_selector(READY)
    said(page, "The corrections of earlier visits could not be read: broken")
    page.evaluate("() => { HWR.picture.greyOf = () => { throw new Error('no memory'); } }")
    write(page, ONE)
    said(page, "This could not be read: no memory")
    hand_over(page, "drop", png(composed(2, [3])))
    page.locator("#source:not(:empty)").wait_for()
    assert said(page).startswith("3 digits")  # a picture is read as before
    assert errors == []


def test_of_two_pictures_the_newer_is_shown(page):
    slow = """() => {
        const decode = self.createImageBitmap;
        let first = true;
        self.createImageBitmap = async (...given) => {
            const wait = first;
            first = false;
            if (wait) await new Promise((resolve) => { self.letGo = resolve; });
            return decode(...given);
        };
    }"""
    page.evaluate(slow)
    hand_over(page, "drop", png(composed(2, [3])), name="first.png")
    hand_over(page, "drop", png(composed(2, [4])), name="second.png")
    source = page.locator("#source:not(:empty)")
    source.wait_for()
    page.evaluate("letGo()")
    said(page)
    assert source.inner_text().startswith("second.png")
    page.reload()
    page.wait_for_selector(READY)


def test_corrections_become_a_data_set_that_training_reads(page, tmp_path):
    images = []
    for points, labels in ((THREE, "389"), (ONE, "17")):
        for label in labels:
            clear(page)
            write(page, [(x, (1 - 0.04 * len(images)) * y) for x, y in points])  # an image of its own
            said(page)
            page.click(f"#labels button:text-is('{label}')")
            page.locator(f"#labels button:text-is('{label}')[aria-pressed=true]").wait_for()
            seen = page.evaluate(
                "Array.from(document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data)"
            )
            images.append((label, np.array(seen, np.uint8).reshape(28, 28, 4)[..., 0]))
    assert page.locator("#kept").inner_text().startswith("5 corrections kept. Unpack the download and train")
    page.reload()  # they stay
    page.wait_for_selector(READY)
    assert page.locator("#kept").inner_text().startswith("5 corrections kept")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "digits.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    page.click("#forget")
    page.wait_for_selector("#lessons", state="hidden")
    for number, (label, image) in enumerate(images, 1):
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / "digits" / label / f"{number:04}.png").convert("L")), image
        )

    own = folder.open_place(tmp_path / "digits", Reading(), "", name="folder", whole=False)
    made = folder.make(own, log=lambda line: None)
    assert own.source.classes == ("1", "3", "7", "8", "9")
    assert len(made.train.label) + len(made.test.label) == 5


def test_without_a_network_the_page_opens_and_reads(opened):
    page, errors = opened(viewport=PHONE)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
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
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    (tmp_path / "files.js").unlink()
    (tmp_path / "index.html").write_text("<title>Another</title><link rel=stylesheet href=style.css>")
    (tmp_path / "style.css").write_text("body { color: rgb(1, 2, 3) }")
    page.reload()
    assert page.title() == "Another"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
    assert page.evaluate("caches.keys()") == []
    page.reload()
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0


def test_an_open_page_never_gets_files_of_two_versions(opened, host, tmp_path):
    page, errors = opened(host.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    newer = {name: (tmp_path / name).read_text() for name in ("files.js", "index.html", "style.css")}
    newer["files.js"] = re.sub('VERSION = "', 'VERSION = "new', newer["files.js"])
    newer["index.html"] = newer["index.html"].replace("<title>Read", "<title>New: read")
    newer["style.css"] += "body { outline-color: rgb(1, 2, 3) }"
    for name, content in newer.items():
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, (time.time() + 5,) * 2)
    shown = "[document.title, getComputedStyle(document.body).outlineColor === 'rgb(1, 2, 3)', HWR.VERSION.slice(0, 3)]"
    page.reload()
    page.wait_for_selector(READY)
    assert page.evaluate(shown)[:2] == ["Read handwritten digits", False]
    assert errors == []


def test_the_first_load_is_small_and_nothing_is_asked_for_after_it(opened, server):
    before = server.sent
    page, errors = opened()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_to_object_to(opened, scheme, size):
    pytest.importorskip("axe_playwright_python", reason="needs axe-core: pip install 'hwr_jax[dev]'")
    page, errors = opened(viewport=size, color_scheme=scheme)
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    check = "axe.run(document, {resultTypes: ['violations']}).then((found) => JSON.stringify(found.violations))"
    assert json.loads(page.evaluate(check)) == []
    page.click("footer summary")
    write(page, THREE)
    said(page)
    page.click("#labels button:text-is('8')")
    page.locator("#kept").wait_for()
    assert json.loads(page.evaluate(check)) == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= size["width"]
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
