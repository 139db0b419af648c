"""Makes the README's first picture: a photograph of a page, composed by `data.pages`, beside what `scan` reads in it.

    HWR_MNIST_DIR=... python scripts/readme_picture.py    # writes docs/scan.png

The digits are MNIST test digits, the page is ruled, shadowed, turned and lies on a desk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import hwr_jax
from hwr_jax.data import pages
from hwr_jax.inference import annotate

OUT = Path(__file__).resolve().parent.parent / "docs" / "scan.png"
LENGTHS = [7, 5, 8, 6]
HEIGHT_PX = 360
SEED = 5


def main() -> None:
    """Composes, reads and draws; says whether all was read right."""
    rng = np.random.default_rng(SEED)
    digits = hwr_jax.data.load("mnist").test
    some = rng.permutation(len(digits.label))[: sum(LENGTHS)]
    glyphs, labels = np.asarray(digits.image)[some, ..., 0], np.asarray(digits.label)[some]
    photo = pages.compose(rng, glyphs, labels, LENGTHS, digit_px=34, paper="ruled", shadow=0.45, tilt_deg=7, desk=True)
    page = hwr_jax.scan(photo.grey)
    text = "\n".join(["$ hwr scan photo.jpg", "", *page.text.split("\n")])
    parts = [_sized(Image.fromarray(photo.grey).convert("RGB")), _sized(annotate.draw(page, photo.grey)), _said(text)]
    width = sum(part.width for part in parts) + 20 * (len(parts) - 1)
    whole = Image.new("RGB", (width, HEIGHT_PX), "white")
    left = 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width + 20
    whole.save(OUT, optimize=True)
    print(f"{OUT.name}: read {page.text.split()}, written {photo.lines}")


def _sized(image: Image.Image) -> Image.Image:
    return image.resize((round(image.width * HEIGHT_PX / image.height), HEIGHT_PX), Image.Resampling.LANCZOS)


def _said(text: str) -> Image.Image:
    """Text on a terminal."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    made = Image.new("RGB", (300, HEIGHT_PX), "#1f2430")
    pen = ImageDraw.Draw(made)
    pen.multiline_text((18, 22), text, "#e6e6e6", ImageFont.truetype(fonts / "DejaVuSansMono.ttf", 18), spacing=10)
    return made


if __name__ == "__main__":
    main()
