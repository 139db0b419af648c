"""A hundred digits of MNIST, written on the page with a pointer."""

import asyncio

import pen_strokes
import pytest

from hwr_jax import data
from scripts import page_browser

pytestmark = [pytest.mark.browser, pytest.mark.mnist]
SHEET = {"width": 760, "height": 480}  # read at a width of 512 pixels: the lower, the fewer pixels
DIGIT = 0.84  # of the sheet's height that MNIST's 28 pixels take
RESULT = """() => {
    const text = document.getElementById("text").textContent;
    document.getElementById("clear").click();
    return text;
}"""


async def write(devtools, place, image):
    """Writes an image of MNIST. The browser gets all events at once, as from a quick hand, and hands those of a frame
    on as one event, with its coalesced ones."""
    zoom = DIGIT * place["height"] / 28
    left, top = place["x"] + place["width"] / 2 - 14 * zoom, place["y"] + place["height"] / 2 - 14 * zoom
    events = []
    for line in pen_strokes.strokes(image):
        events += [("mouseMoved", x, y, 1) for x, y in line]
        events[-len(line)] = ("mousePressed", *line[0], 1)
        events.append(("mouseReleased", *line[-1], 0))
    await asyncio.gather(
        *(
            devtools.send(
                "Input.dispatchMouseEvent",
                {
                    "type": kind,
                    "x": left + zoom * x,
                    "y": top + zoom * y,
                    "button": "left",
                    "buttons": buttons,
                    "clickCount": 1,
                },
            )
            for kind, x, y, buttons in events
        )
    )


async def read(url, images):
    """What the page reads when each image is written on it."""
    from playwright.async_api import async_playwright

    errors, texts = [], []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=page_browser.path(), args=page_browser.FLAGS)
        page = await browser.new_page(viewport=SHEET)
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(url)
        await page.wait_for_selector(page_browser.READY)
        devtools = await page.context.new_cdp_session(page)
        place = await page.locator("#paper").bounding_box()
        for image in images:
            await write(devtools, place, image)
            await page.wait_for_selector("#said:not(:empty)", state="attached", timeout=60_000)
            texts.append(await page.evaluate(RESULT))
        await browser.close()
    assert errors == []
    return texts


def test_of_a_hundred_written_digits_98_are_read(chromium, server):
    test = data.load("mnist", log=lambda line: None).test
    texts = asyncio.run(read(server.url, test.image[:100, ..., 0]))
    assert sum(text == str(label) for text, label in zip(texts, test.label, strict=False)) >= 98
