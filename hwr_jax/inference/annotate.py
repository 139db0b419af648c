"""A copy of a picture that shows what was read in it, and how surely."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from pathlib import Path

import numpy as np

from hwr_jax.core import files
from hwr_jax.inference.scan import Page

SURE, DOUBTFUL = 0.95, 0.7  # confidences from which a box is green, and yellow; else red
COLOURS = ("#138a36", "#c98a00", "#d11f2f")
LONGER_PX = 1600  # of the copy
SOFTWARE = "hwr_jax scan"  # in the PNG files that are written here
LOOK = 512  # the first bytes of a file, which say so


def draw(page: Page, grey: np.ndarray):
    """Returns a Pillow picture of the page with a box around each digit and its label above.

    Args:
      page: what was read.
      grey: of the picture, [h, w] in 0..255.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(np.asarray(grey).astype(np.uint8)).convert("RGB")
    scale = min(1.0, LONGER_PX / max(picture.size))
    if scale < 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    pen = ImageDraw.Draw(picture)
    for digit in page.digits:
        x, y, width, height = (scale * side for side in digit.box)
        colour = COLOURS[0 if digit.confidence >= SURE else 1 if digit.confidence >= DOUBTFUL else 2]
        size = max(9.0, min(0.5 * height, 40.0))
        pen.rectangle([x - 2, y - 2, x + width + 1, y + height + 1], outline=colour, width=max(1, round(size / 12)))
        pen.text((x - 2, y - 3), digit.label, fill=colour, font=ImageFont.load_default(size), anchor="lb")
    return picture


def write(folder: Path, page: Page, grey: np.ndarray, taken: set[Path]) -> Path:
    """Writes `draw` of a page into a folder, which is made, as NAME-read.png, and returns its path.

    A file of that name is replaced only if it is an earlier copy of the same picture; else NAME-read-2.png is tried,
    and so on. The second page of a file is NAME-page2-read.png.

    Args:
      folder: where to.
      page: what was read; `page.picture` is the path of the picture, or what it is.
      grey: of the picture, [h, w] in 0..255.
      taken: the copies so far, to which this one is added: pictures of different folders may have the same name.

    Raises:
      OSError: the folder cannot be written.
    """
    return save(folder, page, "read", draw(page, grey), taken)


def save(folder: Path, page: Page, what: str, picture, taken: set[Path]) -> Path:
    """Writes a Pillow picture that was made of a page as NAME-what.png, by the same rules."""
    from PIL.PngImagePlugin import PngInfo

    folder.mkdir(parents=True, exist_ok=True)
    source = hashlib.sha256(os.fsencode(Path(page.picture).resolve())).hexdigest()
    stem = Path(page.picture).stem + (f"-page{page.number}" if page.count > 1 else "") + f"-{what}"
    names = (f"{stem}.png" if n == 1 else f"{stem}-{n}.png" for n in itertools.count(1))
    path = next(p for p in (folder / name for name in names) if p not in taken and _may_be_written(p, source))
    taken.add(path)
    note, content = PngInfo(), io.BytesIO()
    note.add_text("Software", SOFTWARE)
    note.add_text("Source", source)
    picture.save(content, "PNG", pnginfo=note)
    files.write_atomic(path, content.getvalue())
    return path


def is_copy(path: Path, source: str = "") -> bool:
    """Whether a file was written by `write`; with `source`, whether it is a copy of that picture."""
    try:
        with path.open("rb") as file:
            start = file.read(LOOK)
    except OSError:
        return False
    words = f"tEXtSoftware\0{SOFTWARE}", f"tEXtSource\0{source}"
    return start.startswith(b"\x89PNG\r\n\x1a\n") and all(word.encode() in start for word in words)


def _may_be_written(path: Path, source: str) -> bool:
    return not os.path.lexists(path) or (not path.is_symlink() and is_copy(path, source))
