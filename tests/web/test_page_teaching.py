"""Corrections on the page in a real browser: kept, replaced, taken back, downloaded, trained on."""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from page_visit import ONE, THREE, clear, composed, hand_over, mode, png, said
from PIL import Image

from hwr_jax.config import configs
from hwr_jax.core.types import Arrays
from hwr_jax.data import configured, folder, splits
from hwr_jax.data.sources import Source
from scripts.page_browser import READY, write

pytestmark = pytest.mark.browser


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
    mode(page, "digit")  # the same digit, seen a little differently
    said(page)
    kept(page, "5")
    press(9)
    kept(page, "9")
    mode(page, "auto")
    said(page)
    kept(page, "9")
    page.reload()
    page.wait_for_selector(READY)
    mode(page, "digit")  # as it was corrected
    write(page, THREE)
    said(page)
    kept(page, "9")
    press(9)
    kept(page, "")


def test_each_digit_on_a_sheet_and_each_sheet_has_its_own_correction(page):
    write(page, [(x - 0.25, y) for x, y in THREE], [(x + 0.25, y) for x, y in ONE])
    said(page)
    page.click("#labels button:text-is('8')")
    kept(page, "8")
    page.click("#after")
    page.click("#labels button:text-is('7')")
    kept(page, "87")
    mode(page, "page")
    said(page)
    page.click("#after")
    kept(page, "87")
    clear(page)
    mode(page, "digit")
    write(page, [(0.4, 0.2), (0.6, 0.8)])  # alone, as neither was
    said(page)
    page.click("#labels button:text-is('2')")
    kept(page, "872")
    page.click("#forget")
    page.wait_for_selector("#lessons", state="hidden")


def test_another_window_knows_of_a_correction_and_of_its_end(opened, server):
    page, errors = opened()
    other = page.context.new_page()
    other.goto(server.url)
    other.wait_for_selector(READY)
    for one, points, label in ((page, THREE, "8"), (other, ONE, "7")):
        write(one, points)
        said(one)
        one.click(f"#labels button:text-is('{label}')")
    for one, label in ((page, "8"), (other, "7")):
        one.locator("#kept:has-text('2 corrections kept')").wait_for()
        assert one.locator("#labels button[aria-pressed=true]").inner_text() == label
    other.click("#forget")
    for one in (page, other):
        one.wait_for_selector("#lessons", state="hidden")
    assert page.locator("#labels button[aria-pressed=true]").count() == 0
    assert errors == []


def test_a_browser_that_cannot_keep_corrections_is_reported_and_the_page_reads(opened):
    page, errors = opened()
    page.evaluate("() => { IDBObjectStore.prototype.add = () => { throw new Error('no room'); } }")
    write(page, THREE)
    said(page)
    page.click("#labels button:text-is('8')")
    said(page, "The corrections could not be changed: no room")
    assert page.locator("#labels button[aria-pressed=true]").count() == 0
    for method in ("IDBObjectStore.prototype.getAll", "IDBFactory.prototype.open"):
        page.add_init_script(f"{method} = () => {{ throw new Error('no {method}'); }}")
        page.reload()
        page.wait_for_selector(READY)
        said(page, f"Corrections of earlier visits cannot be read, nor new ones kept: no {method}")
    page.evaluate("() => { HWR.picture.greyOf = () => { throw new Error('no memory'); } }")
    write(page, ONE)
    said(page, "This could not be read: no memory")
    hand_over(page, "drop", png(composed(2, [3])))
    page.locator("#source:not(:empty)").wait_for()
    assert said(page).startswith("3 digits")  # a picture is read as before
    assert errors == []


@pytest.mark.parametrize(
    "how",
    [
        "indexedDB.open('hwr', 2)",  # it waits for the end of `base`, and every later window for it
        "const store = base.transaction('lessons', 'readwrite').objectStore('lessons');"
        "const hold = () => { store.get(0).onsuccess = hold; }; hold()",
    ],
    ids=["asks for a newer version", "never ends what it writes"],
)
def test_the_page_reads_while_another_window_holds_what_is_kept(opened, server, how):
    page, errors = opened()
    other = page.context.new_page()
    other.goto(server.url + "manifest.json")
    other.evaluate(f"""async () => {{
        const base = await new Promise((resolve) => {{
            indexedDB.open('hwr', 1).onsuccess = (event) => resolve(event.target.result);
        }});
        {how};
    }}""")
    page.bring_to_front()
    page.reload()
    page.wait_for_selector(READY)
    said(page, "Corrections of earlier visits cannot be read, nor new ones kept: the browser does not answer.")
    write(page, THREE)
    assert said(page).startswith("Read with")
    page.click("#labels button:text-is('8')")
    page.locator("#kept:has-text('1 correction kept until you close this page.')").wait_for()
    assert errors == []


def test_the_page_calls_enough_what_leaves_training_a_picture_of_each_digit(page):
    say = """(labels) => self.HWR.teaching.summary({ lessons: [...labels].map((label) => ({ label })), stays: true })"""
    for kinds in (2, 3, 5, 10):
        for count in (*range(max(5, kinds), 4 * kinds), 45, 50, 51):
            label = np.minimum(np.arange(count), kinds - 1).astype(np.int32)  # one of each but the last
            words = page.evaluate(say, "".join(map(str, label)))
            assert ("Unpack" in words) == (len(set(left_to_train(label, kinds))) == kinds), words


def left_to_train(label, kinds):
    """The labels that training keeps, of a downloaded data set and configs/finetune.py."""
    test = folder.test_size(Path("digits"), Counter(train=len(label)), whole=False)
    rest, _ = splits.carve(Arrays(label, label), test, stratified=True)
    source = Source("folder", "1", tuple("0123456789")[:kinds], len(rest.label), test, 0, None, stratified=True)
    asked = configs.load("configs/finetune.py").data.validation_examples
    validation = folder.validation_size(source, asked, adapt=True, log=lambda line: None)
    return splits.carve(rest, validation, stratified=True)[0].label


def test_corrections_become_a_data_set_that_training_reads(page, tmp_path):
    images = []
    for points, labels in ((THREE, "383"), (ONE, "177")):
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
            if len(images) == 5:
                words = "5 corrections kept. Training needs 1 more of these digits, as it holds back some for"
                assert page.locator("#kept").inner_text().startswith(words)
    assert page.locator("#kept").inner_text().startswith("6 corrections kept. Unpack the download and train")
    page.reload()  # they stay
    page.wait_for_selector(READY)
    assert page.locator("#kept").inner_text().startswith("6 corrections kept")
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

    config = configs.load("configs/finetune.py:smoke", {"data.manual_dir": str(tmp_path / "digits")})
    made = configured.load(config, None, lambda line: None)
    assert made.classes == ("1", "3", "7", "8")
    assert set(made.train.label) == {0, 1, 2, 3}
    assert [len(part.label) for part in (made.train, made.validation, made.test)] == [4, 1, 1]
