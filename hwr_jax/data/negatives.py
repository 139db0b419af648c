"""Images that are no digit, drawn at random: a class of its own, so that a reader does not take all it sees for one.

Printed letters and signs that no digit resembles, loose strokes, filled shapes, blots, small pieces of digits, and two
digits at once (which a reader of pages is to take apart). No halves of digits: that of an 8 is a 3.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.networks import NONE
from hwr_jax.core.types import Dataset
from hwr_jax.data import extra
from hwr_jax.pictures.normalise import to_mnist

VERSION = "2"  # of the drawings below
CANVAS = 80  # pixels, before an image is fitted into MNIST's box
LETTERS = "ACEFGHJKLMNPRUVWXYadefhkmnpruvwxt@#&%$?=+*ΓΔΘΛΞΠΣΦΨΩβγδζηθλμξπρφχψωЖИЙДЛФЦШЩЫЮЯжидлфцшщыюя"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono")
PEN = (3.0, 11.0)  # pixels of the canvas
PIECE = (0.3, 0.45)  # of a digit's height and width
STRAIGHT = 0.15  # upright ink whose spread across is less than this share of that along may be a 1
FULL_FRAME = 0.2  # share of the images that fill the frame, as pictures of things do
KINDS = ("letters", "strokes", "shapes", "blots", "pieces", "pairs")
OVERLAP = (-3, 6)  # pixels of 28 between two digits


def add(dataset: Dataset, count: int, *, seed: int, log: Callable[[str], object] = print) -> Dataset:
    """Adds images of the class `none` to the training set; validation and test stay as they are.

    Args:
        dataset: of images uint8 [N, 28, 28, 1].
        count: of the images; a fifth of each kind.
        seed: of all draws.
        log: called with a sentence.

    Returns:
        the data set with one more class, and with the digest of all of its content.

    Raises:
        ConfigError: streamed images, or a class that is called `none` already.
    """
    extra.check(dataset, "negatives", count)
    if NONE in dataset.classes:
        raise ConfigError(f"config.data.negatives={count} adds the class {NONE!r}, which {dataset.name} has: use 0")
    log(f"Drawing {count:,} images that are none of the classes")
    image = draw(count, np.asarray(dataset.train.image[..., 0]), seed=seed)
    label = np.full(count, len(dataset.classes), np.int32)
    return extra.append(dataset, image, label, made_by=VERSION, classes=(NONE,))


def draw(count: int, glyphs: np.ndarray, *, seed: int) -> np.ndarray:
    """Draws images that are no digit, uint8 [count, 28, 28], 0 = paper, 255 = ink; see `draw_kinds`."""
    return draw_kinds(count, glyphs, seed=seed)[0]


def draw_kinds(count: int, glyphs: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws images that are no digit, uint8 [count, 28, 28], and which of KINDS each is, int [count].

    Most are fitted into a frame as `to_mnist` does it, and a share of FULL_FRAME fills all of it.

    Args:
        count: of the images.
        glyphs: uint8 [n, 28, 28], n >= 1, of digits, two of which are put beside each other.
        seed: of all draws.
    """
    rng = np.random.default_rng([seed, 0x4E4547])
    fonts = [_font(name) for name in FONTS]
    kinds: tuple[Callable[[], np.ndarray], ...] = (
        lambda: _letter(rng, fonts), lambda: _strokes(rng), lambda: _shape(rng), lambda: _blots(rng),
        lambda: _piece(rng, glyphs), lambda: _pair(rng, glyphs),
    )  # fmt: skip
    images = np.zeros((count, 28, 28), np.uint8)
    for i in range(count):
        ink = kinds[i % len(kinds)]()
        while ink.max() < 0.5 or _may_be_one(ink):
            ink = kinds[i % len(kinds)]()
        images[i] = _filling(ink) if rng.random() < FULL_FRAME else to_mnist(ink)
    order = rng.permutation(count)
    return images[order], (np.arange(count) % len(kinds))[order]


def _font(name: str) -> Path:
    """The file of a font that comes with matplotlib, which is not imported for it."""
    place = importlib.util.find_spec("matplotlib")
    assert place is not None
    assert place.submodule_search_locations is not None
    return Path(place.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"


def _letter(rng: np.random.Generator, fonts: list[Path]) -> np.ndarray:
    """A printed letter or sign, a little turned."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", (CANVAS, CANVAS))
    font = ImageFont.truetype(fonts[rng.integers(len(fonts))], 48)
    ImageDraw.Draw(picture).text((CANVAS / 2, CANVAS / 2), LETTERS[rng.integers(len(LETTERS))], 255, font, anchor="mm")
    turned = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / 255


def _strokes(rng: np.random.Generator) -> np.ndarray:
    """Three to seven strokes of one pen, all curved or all upright, level or slanted: a sign of no alphabet."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (CANVAS, CANVAS))
    pen, width = ImageDraw.Draw(picture), rng.uniform(*PEN)
    curved = rng.random() < 0.5
    for _ in range(rng.integers(3, 8)):
        start, middle, end = rng.uniform(8, CANVAS - 8, (3, 2))
        if not curved:
            angle = rng.integers(4) * math.pi / 4 + rng.normal(0, 0.1)
            half = rng.uniform(8, 28) * np.array([math.cos(angle), math.sin(angle)])
            start, end = middle - half, middle + half
            middle = middle + rng.normal(0, 2, 2)
        t = np.linspace(0, 1, 16)[:, None]
        path = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        pen.line([tuple(p) for p in path.tolist()], 255, round(width), joint="curve")
    return _soft(picture)


def _shape(rng: np.random.Generator) -> np.ndarray:
    """A filled shape with three to nine corners, lighter in places, some symmetric: clothes, leaves, stamps."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (CANVAS, CANVAS))
    angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 10)))
    radii = rng.uniform(0.4, 1.0, angles.size) * CANVAS / 2
    points = CANVAS / 2 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    if rng.random() < 0.5:
        half = points[points[:, 0] > CANVAS / 2]
        half = half[np.argsort(half[:, 1])]
        mirrored = np.concatenate([half, [CANVAS, 0] + half[::-1] * [-1, 1]])
        points = mirrored if len(mirrored) > 3 else points
    ImageDraw.Draw(picture).polygon([tuple(p) for p in points.tolist()], 255)
    texture = 1 - rng.uniform(0, 0.7) * _field(rng, 4 * rng.uniform(1, 4))
    return _soft(picture) * texture


def _blots(rng: np.random.Generator) -> np.ndarray:
    """What is darker than a level of a smooth random field: stains, smears, noise."""
    field = _field(rng, rng.uniform(3, 12))
    level = rng.uniform(0.35, 0.75)
    return np.clip((field - level) / 0.1, 0, 1).astype(np.float32)


def _piece(rng: np.random.Generator, glyphs: np.ndarray) -> np.ndarray:
    """A small piece of a digit."""
    glyph = _columns(glyphs[rng.integers(len(glyphs))])
    glyph = glyph[glyph.max(1) > 0.25]
    sides = [max(3, round(float(rng.uniform(*PIECE)) * n)) for n in glyph.shape]
    top, left = (int(rng.integers(max(1, n - side + 1))) for n, side in zip(glyph.shape, sides, strict=True))
    return glyph[top : top + sides[0], left : left + sides[1]]


def _may_be_one(ink: np.ndarray) -> bool:
    """Whether the ink is an upright bar, or too little to tell."""
    inked = np.argwhere(ink > 0.25)
    if len(inked) < 8:
        return True
    (across, along), axes = np.linalg.eigh(np.cov(inked.T))
    return across < STRAIGHT * along and abs(axes[0, 1]) > abs(axes[1, 1])


def _filling(ink: np.ndarray) -> np.ndarray:
    """The ink, stretched to the whole frame: uint8 [28, 28]."""
    from PIL import Image

    rows, columns = np.flatnonzero(ink.max(1) > 0.1), np.flatnonzero(ink.max(0) > 0.1)
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    frame = Image.fromarray(cut.astype(np.float32)).resize((28, 28), Image.Resampling.BOX)
    values = np.clip(np.asarray(frame), 0, None)
    return np.rint(255 * values / values.max()).astype(np.uint8)


def _pair(rng: np.random.Generator, glyphs: np.ndarray) -> np.ndarray:
    """Two digits that stand close together or touch."""
    one, other = (_columns(glyphs[rng.integers(len(glyphs))]) for _ in "ab")
    gap, down = int(rng.integers(*OVERLAP)), int(rng.integers(-3, 4))
    sheet = np.zeros((36, one.shape[1] + other.shape[1] + 8), np.float32)
    sheet[4:32, : one.shape[1]] = one
    left = max(0, one.shape[1] + gap)
    part = sheet[4 + down : 32 + down, left : left + other.shape[1]]
    np.maximum(part, other, out=part)
    return sheet


def _columns(glyph: np.ndarray) -> np.ndarray:
    """The columns of a glyph that have ink, float32 in 0..1."""
    inked = np.flatnonzero(glyph.max(0) > 64)
    return glyph[:, inked[0] : inked[-1] + 1].astype(np.float32) / 255 if inked.size else glyph[:, :1] / np.float32(255)


def _field(rng: np.random.Generator, smooth_px: float) -> np.ndarray:
    """A random field float32 [CANVAS, CANVAS] in 0..1 that varies over about `smooth_px` pixels."""
    from PIL import Image

    side = max(3, round(CANVAS / smooth_px))
    coarse = Image.fromarray(rng.standard_normal((side, side), np.float32))
    field = np.asarray(coarse.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC))
    return (field - field.min()) / np.ptp(field)


def _soft(picture) -> np.ndarray:
    from PIL import ImageFilter

    return np.asarray(picture.filter(ImageFilter.GaussianBlur(1.0)), np.float32) / 255
