"""The page in a real browser: write, drop, paste, choose; what it says; by keyboard, for a screen reader."""

import json
from importlib import resources

import numpy as np
import pytest
from page_visit import DESK, PHONE, SETTLED, THREE, clear, composed, hand_over, mode, png, said, seen, text

from hwr_jax.inference import packaged, scan
from scripts.page_browser import READY, write

pytestmark = pytest.mark.browser


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


def test_a_file_that_is_refused_while_another_is_read_is_still_named(page):
    page.evaluate("""() => {
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (...given) { self.letGo = () => post.apply(this, given); };
    }""")
    hand_over(page, "drop", png(composed(2, [3])))
    page.locator("#source:not(:empty)").wait_for()
    hand_over(page, "drop", b"no picture", name="wrong.png")
    page.locator("#said:has-text('wrong.png: ')").wait_for()
    page.evaluate("letGo()")
    page.locator("#text:text-matches('^[0-9]{3}$')").wait_for()
    assert said(page).startswith("wrong.png: this browser cannot read it")
    page.reload()
    page.wait_for_selector(READY)


def dots():
    """A picture that takes the reader ten seconds: 4,200 dots."""
    y, x = np.mgrid[:900, :1200]
    return png(np.uint8(255 * ((x % 16 > 8) | (y % 16 > 8))))


def test_while_a_picture_is_read_the_page_says_so_and_why_another_is_refused(opened):
    page, errors = opened(viewport=DESK)
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    hand_over(page, "drop", dots())
    page.locator("#source:not(:empty)").wait_for()
    hand_over(page, "drop", b"no picture", name="wrong.png")
    page.locator("#said:has-text('wrong.png: ')").wait_for()
    page.clock.run_for(500)
    assert text(page) == "Reading …"
    assert said(page).startswith("wrong.png: ")
    assert errors == []


def test_a_picture_that_takes_too_long_is_given_up_and_the_next_one_is_read(opened):
    page, errors = opened(viewport=DESK)
    page.clock.install()
    [first] = page.workers
    hand_over(page, "drop", dots())
    page.locator("#text:text-is('Reading …')").wait_for()
    with first.expect_event("close"):
        page.clock.fast_forward(15_000)
    assert said(page) == "This could not be read: it takes longer than the 15 seconds allowed."
    assert text(page) == "Not read"
    hand_over(page, "drop", png(composed(2, [3])))
    page.locator("#text:text-matches('^[0-9]{3}$')").wait_for()
    assert len(page.workers) == 1
    assert errors == []


def test_a_long_name_of_a_file_is_broken_into_lines(opened):
    page, errors = opened(viewport=PHONE)
    for content, where in ((png(composed(2, [3])), "#source"), (b"no picture", "#said")):
        hand_over(page, "drop", content, name=f"{'a' * 120}.png")
        page.locator(f"{where}:has-text('aaa')").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert errors == []


def test_what_an_empty_sheet_asks_for_is_not_cut_off(opened):
    page, _ = opened(viewport=PHONE)
    assert text(page) == "Write a digit, or add a picture."
    assert page.locator("#text").evaluate("(text) => text.scrollWidth <= text.clientWidth")


def test_a_narrow_screen_has_room_for_everything(opened):
    page, errors = opened(viewport={"width": 320, "height": 568})  # also a desktop's at 400 %
    write(page, THREE)
    said(page)
    page.locator("label:has(input[value=page])").click()  # no button lies on it
    assert page.is_checked("input[value=page]")
    said(page)
    table, figure = (page.locator(of).bounding_box() for of in (".bars", "#seen"))
    assert figure["x"] + figure["width"] < table["x"]
    assert table["x"] + table["width"] <= 304
    assert errors == []


def test_what_is_chosen_is_seen_with_the_colours_of_the_system_too(opened):
    page, _ = opened(viewport=DESK, forced_colors="active")
    write(page, THREE)
    said(page)
    page.click("#labels button:text-is('8')")
    page.locator("#labels button[aria-pressed=true]").wait_for()
    colour = "(name) => getComputedStyle(document.querySelector(name)).backgroundColor"
    for chosen, other in (
        ("input[value=auto] + span", "input[value=page] + span"),
        ("#labels button[aria-pressed=true]", "#labels button[aria-pressed=false]"),
        ("#bars .best i", "body"),
    ):
        assert page.evaluate(colour, chosen) != page.evaluate(colour, other), chosen


def test_what_is_no_digit_is_called_so(page):
    write(page, [(0.42 + 0.16 * (i % 2), 0.3 + 0.045 * i) for i in range(9)])  # a zigzag
    said(page)
    assert text(page) == "Not a digit"
    assert page.locator("#bars tr.best th").inner_text() == "not a digit"


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
    page.keyboard.down("Space")
    page.keyboard.down("Space")  # held
    page.keyboard.up("Space")
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


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        (DESK, "light"),
        (PHONE, "dark"),
        pytest.param(DESK, "dark", marks=pytest.mark.exhaustive),
        pytest.param(PHONE, "light", marks=pytest.mark.exhaustive),
    ],
)
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
