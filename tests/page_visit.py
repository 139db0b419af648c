"""What a person does with the page in a browser, and sees of it."""

import io
import json

import numpy as np
from PIL import Image

from hwr_jax.data import drawn, pages

SETTLED = 20_000  # milliseconds: the machine may be busy
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
THREE = [(0.42, 0.22), (0.53, 0.17), (0.58, 0.28), (0.49, 0.45), (0.6, 0.56), (0.57, 0.75), (0.42, 0.77)]
ONE = [(0.5, 0.2), (0.5, 0.8)]


def clear(page):
    if page.is_enabled("#clear"):
        page.click("#clear")
    said(page, "")


def mode(page, value):
    page.check(f"input[name=mode][value={value}]", force=True)


def said(page, expected=None):
    """What the page says once it has read what is on the sheet."""
    is_said = {None: ":not(:empty)", "": ":empty"}.get(expected, f":text-is({json.dumps(expected)})")
    return page.wait_for_selector(f"#said{is_said}", state="attached", timeout=SETTLED).inner_text()


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


def remembers(page):
    """Waits until the page, once loaded, can be opened again without a network."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
