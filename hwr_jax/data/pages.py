"""Pages of handwritten digits, composed: glyphs of a data set in lines on paper, as a camera sees them.

For tests, evaluation and training. Nothing of these pages comes from pictures of other people.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwr_jax.pictures.perspective import homography

PAPERS = ("plain", "ruled", "grid")
INKS = (30, 90)  # grey values of ink, darkest and palest
SHEETS = (215, 250)  # of paper
DESKS = (30, 150)  # of a desk
RULES = (150, 200)  # of printed lines
GAP = (0.25, 0.6)  # between the ink of neighbours, in heights of a digit
LEADING = (1.7, 2.3)  # from one line to the next, in heights of a digit


class Composed(NamedTuple):
    """A page, and what is written on it."""

    grey: np.ndarray  # uint8 [h, w], 0 = black, 255 = white
    lines: list[str]  # from top to bottom
    boxes: list[tuple[float, float, float, float]]  # x, y, width, height of the ink of each digit, in reading order


def compose(
    rng: np.random.Generator,
    glyphs: np.ndarray,
    labels: np.ndarray,
    lengths: list[int],
    *,
    digit_px: float = 32.0,
    paper_px: tuple[int, int] = (0, 0),
    paper: str = "plain",
    shadow: float = 0.0,
    tilt_deg: float = 0.0,
    desk: bool = False,
    blur_px: float = 0.6,
    noise: float = 2.0,
) -> Composed:
    """Writes digits on a page and takes its picture.

    Args:
      rng: every amount is drawn from it.
      glyphs: uint8 [n, 28, 28], 0 = paper, 255 = ink, n = the sum of `lengths`.
      labels: int [n].
      lengths: digits in each line.
      digit_px: height in the picture of a glyph that fills the 20 pixels of MNIST's box.
      paper_px: width and height of the paper, at least.
      paper: plain, ruled or grid.
      shadow: share of the light that the darkest corner lacks, 0..1.
      tilt_deg: how far the camera is turned, -x..x drawn evenly; with `desk` in perspective too.
      desk: whether the page lies on a darker desk.
      blur_px: standard deviation of the lens's blur.
      noise: standard deviation of the sensor's noise, grey values.

    Raises:
      ValueError: an unknown paper, too small digits, or not as many glyphs and labels as digits.

    >>> from hwr_jax import data
    >>> test = data.load("digits", log=lambda line: None).test
    >>> page = compose(np.random.default_rng(0), test.image[:5, ..., 0], test.label[:5], [3, 2], paper="ruled")
    >>> [len(line) for line in page.lines], len(page.boxes)
    ([3, 2], 5)
    """
    from scipy import ndimage

    if not len(glyphs) == len(labels) == sum(lengths):
        raise ValueError(f"{len(glyphs)} glyphs and {len(labels)} labels for {sum(lengths)} digits: give as many")
    if digit_px < 4:
        raise ValueError(f"digit_px={digit_px} is too small: use at least 4")
    if paper not in PAPERS:
        raise ValueError(f"paper={paper!r} is not known: use one of {', '.join(PAPERS)}")
    zoom = digit_px / 20
    leading = rng.uniform(*LEADING) * digit_px
    margin = 1.5 * digit_px
    ink, lines, boxes, first = [], [], [], 0
    for row, length in enumerate(lengths):
        x, y = margin + rng.uniform(0, 1) * digit_px, margin + row * leading
        for glyph in glyphs[first : first + length]:
            shape, top = _drawn(glyph, zoom)
            ink.append((shape, y + top + rng.uniform(-0.08, 0.08) * digit_px, x))
            boxes.append((x, ink[-1][1], float(shape.shape[1]), float(shape.shape[0])))
            x += shape.shape[1] + rng.uniform(*GAP) * digit_px
        lines.append("".join(map(str, labels[first : first + length])))
        first += length
    height = math.ceil(2 * margin + len(lengths) * leading)
    width = math.ceil(margin + max(x + w for x, _, w, _ in boxes)) if boxes else math.ceil(4 * margin)
    page = np.full((max(height, paper_px[1]), max(width, paper_px[0])), rng.uniform(*SHEETS), np.float32)
    _rule(rng, page, paper, leading, margin + 1.1 * digit_px)
    pen = rng.uniform(*INKS)
    for shape, y, x in ink:
        top, left = round(y), round(x)
        part = page[top : top + shape.shape[0], left : left + shape.shape[1]]
        part += shape * (pen - part)
    grey, boxes = _photographed(rng, page, boxes, tilt_deg, desk)
    if shadow:
        down, across = np.mgrid[0 : 1 : grey.shape[0] * 1j, 0 : 1 : grey.shape[1] * 1j]
        angle, middle, soft = rng.uniform(0, 2 * math.pi), rng.uniform(-0.3, 0.3), rng.uniform(0.03, 0.3)
        along = (down - 0.5) * math.sin(angle) + (across - 0.5) * math.cos(angle) - middle
        grey = grey * (1 - shadow / (1 + np.exp(-along / soft)))
    grey = ndimage.gaussian_filter(grey, blur_px) + rng.normal(0, noise, grey.shape)
    return Composed(np.clip(np.rint(grey), 0, 255).astype(np.uint8), lines, boxes)


def _drawn(glyph: np.ndarray, zoom: float) -> tuple[np.ndarray, float]:
    """A glyph's ink at another size, float32 [h, w] in 0..1, and how far it begins below the top of MNIST's box."""
    from PIL import Image

    side = round(28 * zoom)
    large = np.asarray(Image.fromarray(glyph).resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    rows, columns = np.flatnonzero(large.max(1) > 0.2), np.flatnonzero(large.max(0) > 0.2)
    if not rows.size:
        return np.zeros((1, 1), np.float32), 0.0
    return large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], float(rows[0] - 4 * zoom)


def _rule(rng: np.random.Generator, page: np.ndarray, paper: str, leading: float, base: float) -> None:
    """Prints the lines of the paper."""
    value, thick = rng.uniform(*RULES), int(rng.integers(1, 3))
    step = leading if paper == "ruled" else leading / 3
    if paper == "plain":
        return
    for y in np.arange(base % step, page.shape[0], step):
        page[round(y) : round(y) + thick] = value
    if paper == "grid":
        for x in np.arange(rng.uniform(0, step), page.shape[1], step):
            page[:, round(x) : round(x) + thick] = value


def _photographed(
    rng: np.random.Generator, page: np.ndarray, boxes: list, tilt_deg: float, desk: bool
) -> tuple[np.ndarray, list]:
    """The page as a camera sees it, turned and in perspective, with what is around it; and the boxes there."""
    from PIL import Image

    if not tilt_deg and not desk:
        return page, boxes
    height, width = page.shape
    around = 0.15 * min(height, width) if desk else 0.0
    angle = math.radians(rng.uniform(-tilt_deg, tilt_deg))
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    centre = corners.mean(0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    seen = (corners - centre) @ turn.T
    if desk:
        seen *= 1 + rng.uniform(-0.06, 0.06, (4, 2))
    seen -= seen.min(0) - around
    size = np.ceil(seen.max(0) + around).astype(int)
    back = homography(seen, corners)
    outside = rng.uniform(*DESKS) if desk else float(np.median(page))
    picture = Image.fromarray(page).transform(
        tuple(size.tolist()), Image.Transform.PERSPECTIVE, back.ravel()[:8].tolist(), Image.Resampling.BILINEAR,
        fillcolor=outside,
    )  # fmt: skip
    there = np.linalg.inv(back)
    moved = []
    for x, y, w, h in boxes:
        points = np.array([(x, y, 1), (x + w, y, 1), (x + w, y + h, 1), (x, y + h, 1)]) @ there.T
        points = points[:, :2] / points[:, 2:]
        (left, top), (right, bottom) = points.min(0), points.max(0)
        moved.append((float(left), float(top), float(right - left), float(bottom - top)))
    return np.asarray(picture), moved
