"""From ink to the 28x28 picture that the models were trained on. Owns MNIST's size, place, contrast and pen.

`decode.py` reads the files, `ink.py` and `marks.py` decide what is ink. Nothing here standardises: the model's recipe
does, once, for data and pictures.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.core.printable import PACKAGE
from hwr_jax.pictures import strokes
from hwr_jax.pictures.decode import PictureFile, as_grey, name_of, read_grey
from hwr_jax.pictures.ink import Found, find_ink
from hwr_jax.pictures.sheet import crop_to_sheet

SIZE_PX = 28  # side of an MNIST picture
BOX_PX = 20  # side of the box that a digit is fitted into before it is centred
AROUND_SHARE = 0.25  # margin put around a line, as a share of its height
LINE_SHARE = 0.7  # share of the height that the ink of a line fills, as in the composed strings
SIDE_PX = 2  # margin at each side of a line that fills the width of its image
NARROWED = 0.8  # a line narrowed to less than this share of its width looks like none that the model was trained on
FINE = 8  # strokes are widened on a grid this many times finer than the result
THIN_PX = 1.8  # a mean stroke below this is widened; MNIST's strokes: 5 % are below 1.8, median 2.6, 95 % below 4.0
PEN_PX = 2.3  # to this
BLUR_PX = 0.4  # of the result's pixels: the soft edge of a scanned pen
TAIL = 0.1  # the blur's tail below this would make the box too large
MIN_INK = 0.5 / 255  # fainter than this is 0 in a uint8 picture; MNIST's own boxes count every pixel above 0


class Normalised(NamedTuple):
    """A picture as model input, and what speaks against reading it so."""

    image: np.ndarray  # uint8 [h, w], 0 = paper, 255 = ink
    doubts: tuple[str, ...] = ()  # a sentence each: several characters or lines, a line that is too long
    trust: float = 1.0  # the model's confidence is multiplied by this: the share of what is there that the image shows
    characters: int = 1  # in the picture
    lines: int = 1  # of writing in the picture
    fits: float = 1.0  # of a line: the share of its width that the image has room for


def digit_from_picture(source: PictureFile) -> np.ndarray:
    """The project's one way from a picture of one digit to model input.

    >>> import io
    >>> from PIL import Image, ImageDraw
    >>> picture, file = Image.new("L", (200, 150), "white"), io.BytesIO()
    >>> ImageDraw.Draw(picture).line([(90, 30), (100, 120)], fill="black", width=12)
    >>> picture.save(file, "PNG")
    >>> image = digit_from_picture(file.getvalue())
    >>> image.shape, image.dtype.name, int(image.max())
    ((28, 28), 'uint8', 255)

    Args:
        source: path, bytes or binary file object.

    Returns:
        uint8 [28, 28], 0 = paper, 255 = ink.

    Raises:
        DataError: not an accepted picture, or no ink in it; the message names the picture.
        OSError: the path cannot be read.

    A picture with several characters is reported to the logger `hwr_jax` (standard error, unless it is set up); the
    heaviest near the middle is in the result. `Predictor.read_pictures` returns that with each reading.
    """
    return _told(source, normalised(source))


def digit_from_grey(grey: np.ndarray) -> np.ndarray:
    """`digit_from_picture` from the grey values of a picture: [h, w] in 0..255, 0 = black, 255 = white.

    >>> picture = np.full((120, 90), 235, np.uint8)
    >>> picture[20:100, 40:50] = 30  # a stroke
    >>> digit_from_grey(picture).shape
    (28, 28)

    Raises:
        DataError: an array that is not accepted (`decode.as_grey`), or no ink in it.
    """
    return normalised(np.asarray(grey)).image


def line_from_picture(source: PictureFile, height_px: int, width_px: int) -> np.ndarray:
    """The project's one way from a picture of one line of writing to the input of a model that reads strings.

    >>> import io
    >>> from PIL import Image, ImageDraw
    >>> picture, file = Image.new("L", (400, 100), "white"), io.BytesIO()
    >>> for x in (60, 140, 220):
    ...     ImageDraw.Draw(picture).line([(x, 20), (x + 10, 80)], fill="black", width=10)
    >>> picture.save(file, "PNG")
    >>> line_from_picture(file.getvalue(), 32, 128).shape
    (32, 128)

    Args:
        source: path, bytes or binary file object.
        height_px, width_px: of the result.

    Returns:
        uint8 [height_px, width_px], 0 = paper, 255 = ink.

    Raises:
        DataError: not an accepted picture, or no ink in it; the message names the picture.
        OSError: the path cannot be read.

    The logger `hwr_jax` reports a picture with several lines (the heaviest near the middle is in the result), and a
    line that was too long for the image and was narrowed.
    """
    return _told(source, normalised(source, line=(height_px, width_px)))


def line_from_grey(grey: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """`line_from_picture` from the grey values of a picture: [h, w] in 0..255, 0 = black, 255 = white.

    Raises:
        DataError: an array that is not accepted (`decode.as_grey`), or no ink in it.
    """
    return normalised(np.asarray(grey), line=(height_px, width_px)).image


def normalised(source: PictureFile | np.ndarray, *, line: tuple[int, int] | None = None) -> Normalised:
    """Turns a picture into model input, and says what speaks against it.

    Args:
        source: path, bytes or binary file object; or the grey values [h, w] in 0..255, 0 = black, 255 = white.
        line: height and width in pixels of the image of a line of writing; None: one character of 28x28.

    Raises:
        DataError: not an accepted picture, or no ink in it; the message names the picture if it is a file.
        OSError: the path cannot be read.
    """
    if isinstance(source, np.ndarray):
        grey = as_grey(source)
        sheet = crop_to_sheet(grey)
        if sheet is not grey:
            with contextlib.suppress(DataError):  # no ink on it: then it is no sheet
                return _line(sheet, *line) if line else _character(sheet)
        return _line(grey, *line) if line else _character(grey)
    grey = read_grey(source)
    try:
        return normalised(grey, line=line)
    except DataError as error:
        raise DataError(f"{name_of(source)}: {error}") from error


def _told(source: PictureFile, found: Normalised) -> np.ndarray:
    for doubt in found.doubts:
        logging.getLogger(PACKAGE).warning("%s: %s", name_of(source), doubt)
    return found.image


def _character(grey: np.ndarray) -> Normalised:
    found = find_ink(grey)
    return judged(to_mnist(widen_thin_strokes(found.ink)), found)


def judged(image: np.ndarray, found: Found) -> Normalised:
    """Adds what speaks against reading a picture as the one character in `image`, uint8 [28, 28]."""
    if found.characters == 1:
        return Normalised(image)
    lines = f" on {found.lines} lines" if found.lines > 1 else ""
    doubt = (
        f"{found.characters} characters{lines} in the picture, but the model reads one: {_lowered(found.characters)}"
    )
    return Normalised(image, (doubt,), 1 / found.characters, found.characters)


def _line(grey: np.ndarray, height_px: int, width_px: int) -> Normalised:
    outline = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    around = max(2, round(AROUND_SHARE * grey.shape[0]))  # a line cropped to its ink leaves no paper to compare with
    paper = float(np.median(outline))
    grey = grey if paper.is_integer() else grey.astype(np.float32)
    found = find_ink(np.pad(grey, around, constant_values=paper), line=True)
    height, width = crop(found.ink).shape
    longer_px = round(LINE_SHARE * height_px * max(1.0, width / height))
    line = _fit(crop(widen_thin_strokes(found.ink, box_px=longer_px)), longer_px)
    doubts, trust = [], 1.0
    if found.lines > 1:
        doubts.append(f"{found.lines} lines in the picture, but the model reads one: {_lowered(found.lines)}")
        trust /= found.lines
    if (fits := (width_px - 2 * SIDE_PX) / line.shape[1]) < NARROWED:
        doubts.append(
            f"the line is {1 / fits:.1f} times as long as the model's image and was narrowed: {_lowered(1 / fits)}"
        )
        trust *= fits
    image = _in_frame(line / line.max(), height_px, width_px)
    return Normalised(image, tuple(doubts), trust, found.characters, found.lines, min(1.0, fits))


def _lowered(by: float) -> str:
    return f"the confidence is divided by {by:.3g}"


def _in_frame(line: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Put a line float32 [h, w] in 0..1 into the middle of uint8 [height_px, width_px]; too long, it is narrowed."""
    from PIL import Image

    if line.shape[1] > width_px - 2 * SIDE_PX:
        narrow = Image.fromarray(line).resize((width_px - 2 * SIDE_PX, line.shape[0]), Image.Resampling.BOX)
        line = np.asarray(narrow)
    frame = np.zeros((height_px, width_px), np.float32)
    top, left = ((whole - part) // 2 for whole, part in zip(frame.shape, line.shape, strict=True))
    frame[top : top + line.shape[0], left : left + line.shape[1]] = line
    return np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8)


def widen_thin_strokes(ink: np.ndarray, *, box_px: int = BOX_PX, fine: int = FINE) -> np.ndarray:
    """Draw a thin pen's digit with a pen as wide as MNIST's; return other ink as it is.

    The width that counts is the one after fitting into `box_px`: below `THIN_PX` it becomes `PEN_PX`, by a grey
    dilation with a disc on a finer grid than that of the result, and a slight blur.

    Args:
        ink: float32 [h, w] in 0..1, 1 = ink.
        box_px: as in `to_mnist`.
        fine: how many times finer the grid is: fewer are quicker, and widen to whole steps of it.

    Returns:
        float32 [h', w'] in 0..1.

    Raises:
        DataError: there is no ink.
    """
    large = _fit(crop(ink), box_px * fine)
    mask = large > large.max() / 2
    if strokes.is_at_least(mask, THIN_PX * fine):  # many times as quick as the width itself
        return ink
    return _widened(ink, large, mask, fine)


def are_surely_wide(inks: Sequence[np.ndarray], *, fine: int = FINE) -> np.ndarray:
    """Whether `widen_thin_strokes` surely returns each ink as it is: float32 [h, w] without a margin -> bool [N]."""
    return strokes.are_surely_wide(inks, BOX_PX * fine, THIN_PX * fine)


def widen_perhaps_thin(ink: np.ndarray, *, fine: int = FINE) -> np.ndarray:
    """`widen_thin_strokes` of ink [h, w] whose strokes are probably thin: it does not check that first."""
    large = _fit(crop(ink), BOX_PX * fine)
    return _widened(ink, large, large > large.max() / 2, fine)


def _widened(ink: np.ndarray, large: np.ndarray, mask: np.ndarray, fine: int) -> np.ndarray:
    from scipy import ndimage

    width_px = strokes.width_of(mask) / fine
    if width_px >= THIN_PX:
        return ink
    radius = (PEN_PX - width_px) / 2 * fine
    wide = strokes.widened(np.pad(large, int(np.ceil(radius)) + fine), radius)
    soft = ndimage.gaussian_filter(wide / large.max(), BLUR_PX * fine)
    return np.where(soft > TAIL, soft, 0)


def to_mnist(ink: np.ndarray, *, size_px: int = SIZE_PX, box_px: int = BOX_PX) -> np.ndarray:
    """Fit ink into a box and centre its mass, as MNIST's digits were made.

    The longer side of the ink's bounding box becomes `box_px`, the aspect ratio stays; shrinking averages, enlarging
    interpolates; the darkest ink becomes 255. The box moves by whole pixels, and never out of the square, so the centre
    of mass lies within half a pixel of the centre of pixel `size_px // 2` (as measured in MNIST: 14.0 +- 0.29 counted
    from 0) unless the digit is too lopsided for the margin.

    Args:
        ink: float [h, w] in 0..1, 0 = paper, 1 = ink, at any scale.
        size_px: side of the result in pixels.
        box_px: longer side of the digit in pixels, at most `size_px`.

    Returns:
        uint8 [size_px, size_px], 0 = paper, 255 = ink.

    Raises:
        DataError: there is no ink.

    Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", III.A.
    """
    return to_mnist_each([ink], size_px=size_px, box_px=box_px)[0]


def to_mnist_each(inks: Sequence[np.ndarray], *, size_px: int = SIZE_PX, box_px: int = BOX_PX) -> np.ndarray:
    """`to_mnist` of each ink, float [h, w]: uint8 [N, size_px, size_px]. Raises as that."""
    digits = [_fit(crop(np.asarray(ink, np.float32)), box_px) for ink in inks]
    of_shape: dict[tuple[int, ...], list[int]] = {}
    for i, digit in enumerate(digits):
        of_shape.setdefault(digit.shape, []).append(i)
    squares = np.zeros((len(digits), size_px, size_px), np.float32)
    for (height, width), some in of_shape.items():
        alike = np.stack([digits[i] for i in some])
        tops, lefts = (_offsets(alike.sum(axis=axis), size_px).tolist() for axis in (2, 1))
        alike /= alike.max(axis=(1, 2), keepdims=True)
        for i, digit, top, left in zip(some, alike, tops, lefts, strict=True):
            squares[i, top : top + height, left : left + width] = digit
    return np.rint(squares * 255).astype(np.uint8)


def crop(ink: np.ndarray) -> np.ndarray:
    """The bounding box of what is darker than `MIN_INK`. float32 [h, w] -> [h', w']. Raises DataError: no ink."""
    is_ink = ink > MIN_INK
    if is_ink[0].any() and is_ink[-1].any() and is_ink[:, 0].any() and is_ink[:, -1].any():
        return ink  # without a margin
    if not is_ink.any():
        raise DataError(f"no ink in the picture: all of its {ink.shape[1]}x{ink.shape[0]} pixels are paper")
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(digit: np.ndarray, box_px: int) -> np.ndarray:
    """Resample so that the longer side is `box_px`. float32 [h, w] -> float32 [h', w'] in 0..1."""
    from PIL import Image

    scale = box_px / max(digit.shape)
    if scale == 1:
        return digit
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    kernel = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.HAMMING
    return np.clip(np.asarray(Image.fromarray(digit).resize((width, height), kernel)), 0, 1)


def _offsets(masses: np.ndarray, size_px: int) -> np.ndarray:
    """Where lines of `masses` [N, n] start so that the centre of mass of each falls on pixel `size_px // 2`, counted
    from 0: int [N]."""
    length = masses.shape[1]
    moments = (masses[:, None] @ np.arange(length)[:, None])[:, 0, 0]
    return np.clip(np.rint(size_px // 2 - moments / masses.sum(axis=1)), 0, size_px - length).astype(int)
