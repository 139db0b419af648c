"""Makes the README's pictures of the page: on a desktop and on a phone, in a light and in a dark room.

    HWR_MNIST_DIR=... python scripts/page_pictures.py    # writes docs/page_light.png and docs/page_dark.png

The desktop shows a photograph that `data.pages` composed of MNIST test digits, the phone a digit that is written.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import page_browser
from PIL import Image

import hwr_jax
from hwr_jax.data import pages

DOCS = Path(__file__).resolve().parent.parent / "docs"
DESKTOP, PHONE = (1280, 800), (390, 800)
GAP = 40
SCALE = 0.75
COLOURS = 128
SEED = 4
LENGTHS = [6, 8, 5, 7]
THREE = [(0.40, 0.30), (0.44, 0.22), (0.52, 0.20), (0.58, 0.26), (0.57, 0.36), (0.49, 0.45), (0.56, 0.48), (0.61, 0.57)]
THREE += [(0.59, 0.69), (0.51, 0.76), (0.43, 0.75), (0.38, 0.68)]


def main() -> None:
    """Composes, photographs, and writes the two pictures."""
    photograph = _photograph()
    with (
        tempfile.TemporaryDirectory() as folder,
        page_browser.served(Path(folder)) as server,
        page_browser.started() as browser,
    ):
        for scheme in ("light", "dark"):
            desktop = _screen(browser, server.url, DESKTOP, scheme, photograph)
            phone = _screen(browser, server.url, PHONE, scheme, None)
            size = (DESKTOP[0] + GAP + PHONE[0], DESKTOP[1])
            sheet = Image.new("RGB", size, (255, 255, 255) if scheme == "light" else (13, 17, 23))
            sheet.paste(desktop, (0, 0))
            sheet.paste(phone, (DESKTOP[0] + GAP, 0))
            small = sheet.resize((round(SCALE * size[0]), round(SCALE * size[1])), Image.Resampling.LANCZOS)
            small.quantize(COLOURS, dither=Image.Dither.NONE).save(DOCS / f"page_{scheme}.png", optimize=True)


def _screen(browser, url: str, size: tuple[int, int], scheme: str, photograph: bytes | None) -> Image.Image:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(page_browser.READY)
    if photograph is None:
        page_browser.write(page, THREE)
    else:
        page.set_input_files("#choose", {"name": "page.png", "mimeType": "image/png", "buffer": photograph})
    page.locator("#said:not(:empty)").wait_for()
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    context.close()
    return picture


def _photograph() -> bytes:
    rng = np.random.default_rng(SEED)
    digits = hwr_jax.data.load("mnist").test
    some = rng.permutation(len(digits.label))[: sum(LENGTHS)]
    glyphs, labels = np.asarray(digits.image)[some, ..., 0], np.asarray(digits.label)[some]
    composed = pages.compose(
        rng, glyphs, labels, LENGTHS, digit_px=50, paper="ruled", shadow=0.35, tilt_deg=4, desk=True
    )
    file = io.BytesIO()
    Image.fromarray(composed.grey).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
