"""Pictures of each step of reading a page, for whoever wants to know where a reading comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwr_jax.inference import annotate
from hwr_jax.inference.parting import Read
from hwr_jax.inference.scan import Page, Steps

FOUND, PARTED, KEPT = "#8a8a8a", "#1f6fd1", "#138a36"  # characters before and after those that touch are taken apart
ENLARGED, COLUMNS, CAPTION_PX = 3, 12, 16  # of the images that the model sees: three times as large, twelve in a row


def draw(steps: Steps, classes: Sequence[str]) -> dict[str, object]:
    """Returns name -> Pillow picture, in the order of the steps.

    1-sheet      the paper, dark ink on light
    2-contrast   how much darker than the paper each pixel is
    3-ink        the same in units of the ink around
    4-marks      the marks of ink, each in a colour, without printed lines
    5-characters a box around each: as found, as taken apart, and (with its label) as read in a line of digits
    6-digits     what the model sees of each, in reading order, and what it takes it for; then what was left out

    Args:
      steps: see `scan.steps`; of a blank picture, and of one digit, there is no more than the paper and the image.
      classes: the names of the model's classes.
    """
    from PIL import Image

    ink = steps.ink
    drawn: dict[str, object] = {"1-sheet": _grey(steps.grey if ink is None else ink.grey)}
    if ink is not None:
        drawn["2-contrast"], drawn["3-ink"] = _grey(255 * (1 - ink.contrast)), _grey(255 * (1 - ink.darkness))
        colours = np.random.default_rng(0).integers(0, 180, (int(ink.labels.max()) + 1, 3), np.uint8)
        colours[0] = 255
        drawn["4-marks"] = Image.fromarray(colours[ink.labels])
        drawn["5-characters"] = _boxes(steps, classes)
    kept = [mark for row in steps.rows for mark in row]
    others = [mark for mark in steps.read if all(mark is not other for other in kept)]
    drawn["6-digits"] = _images([*kept, *others], classes)
    return drawn


def write(folder: Path, page: Page, steps: Steps, classes: Sequence[str], taken: set[Path]) -> list[Path]:
    """Writes `draw` of a page into a folder, which is made, as NAME-1-sheet.png and so on; returns the paths.

    Files, arguments and errors: as of `annotate.write`.
    """
    return [annotate.save(folder, page, name, picture, taken) for name, picture in draw(steps, classes).items()]


def _grey(values: np.ndarray):
    from PIL import Image

    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _boxes(steps: Steps, classes: Sequence[str]):
    from PIL import ImageDraw, ImageFont

    picture = _grey(steps.grey if steps.ink is None else steps.ink.grey).convert("RGB")
    pen = ImageDraw.Draw(picture)
    kept = {id(mark) for row in steps.rows for mark in row}
    for c in steps.found:
        pen.rectangle((c.left - 3, c.top - 3, c.right + 2, c.bottom + 2), outline=FOUND)
    for mark in steps.read:
        c = mark.character
        pen.rectangle((c.left - 1, c.top - 1, c.right, c.bottom), outline=KEPT if id(mark) in kept else PARTED)
        if id(mark) in kept:
            font = ImageFont.load_default(max(9.0, min(0.5 * c.height, 40.0)))
            pen.text((c.left, c.top - 3), _said(mark, classes)[0], fill=KEPT, font=font, anchor="lb")
    return picture


def _images(read: Sequence[Read], classes: Sequence[str]):
    from PIL import Image, ImageDraw, ImageFont

    side = ENLARGED * 28
    across, down = side + 4, side + 4 + CAPTION_PX
    rows = max(1, -(-len(read) // COLUMNS))
    sheet = Image.new("L", (across * min(COLUMNS, max(1, len(read))), down * rows), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11.0)
    for i, mark in enumerate(read):
        left, top = across * (i % COLUMNS), down * (i // COLUMNS)
        sheet.paste(Image.fromarray(255 - mark.image).resize((side, side), Image.Resampling.NEAREST), (left, top))
        pen.text((left + 2, top + side + 1), "{}  {:.3f}".format(*_said(mark, classes)), fill=0, font=font)
    return sheet


def _said(mark: Read, classes: Sequence[str]) -> tuple[str, float]:
    """What the model takes it for, and how surely; "none" for no digit."""
    best = int(mark.prob.argmax())
    return ("none", mark.none) if mark.is_none else (classes[best], float(mark.prob[best]))
