"""From grey values to ink. Owns polarity, the paper's brightness and the threshold.

`decode.py` reads the files, `marks.py` decides which marks form the digit, and `normalise.py` fits them into 28x28.
Lengths are shares of the picture, so the same drawing gives the same ink at any resolution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import filters, several
from hwr_jax.pictures.marks import EIGHT, chosen, digit_mask, in_line
from hwr_jax.pictures.resample import WORK_PX, resize, shrink

POLARITY_PX = 48  # polarity is a property of large areas
SURE = 0.3  # of -1..1: polarity is clear. Real pictures are above 0.31, tight crops below 0.2 where it is wrong
PLAIN = 40  # a range of grey values below this has no large areas of ink: specks, texture
TIGHT_SPLIT = 0.72  # two classes of grey explain this share of the variance: ink and paper, not noise or shadow
TIGHT_INK = 0.2  # of a tight crop, at least, is ink; MNIST's digits, cropped: 1 % are below 0.2
TIGHT_OUTLINE = 0.6  # of its outline, at most, is ink; a table around a sheet is more
TIGHT_RIM = 0.05  # of each side: ink that comes so close to it reaches it, but for its soft edge
TIGHT_MARGIN = 0.5  # paper put around it, as a share of its longer side
PAPER_PX = 96  # the paper's brightness varies slowly
SURROUNDINGS_SHARE = 0.2  # standard deviation of what polarity compares with, as a share of the shorter side
LOCAL_PX = 16  # in smaller pictures (8x8) ink may cover most of any surroundings: one paper for all, and no noise
STROKE_SHARE = 0.35  # no stroke is wider than this share of the shorter side; wider dark areas are shadow or table
SMOOTH = 24  # the closing's window divided by the standard deviation that smooths its steps; shadows stay sharp
MIN_CONTRAST = 0.06  # less than this share of the paper's brightness is texture, not ink
NOISE_FACTOR = 4.0  # ink differs from the paper by more than this many standard deviations of the paper
FAINT = 0.15  # the faint rim of a blurred stroke would make the digit's box too large
FAINT_PX = 64  # but the rim is part of the box in pictures of MNIST's size
WEAK, STRONG = 0.3, 0.55  # of the ink's full contrast: a mark is ink where above WEAK, if somewhere above STRONG

CLEAR = 90  # percentile of the clear pixels' contrast that is the ink's full one

LEVELS = 256  # of contrast that Otsu's threshold tells apart
MIDDLES = (np.arange(LEVELS) + 0.5) / LEVELS


class Found(NamedTuple):
    """The ink of a picture, and what it seems to be."""

    ink: np.ndarray  # float32 [h, w] in 0..1: of the character, or of the line, that is read
    characters: int  # in the whole picture, at least 1
    lines: int  # of writing in the whole picture, at least 1


def ink_of(grey: np.ndarray, *, line: bool = False) -> np.ndarray:
    """The ink of the one digit (or the one line of writing) in a picture, with soft edges.

    Polarity first (`is_light_on_dark`); then contrast, the share of light that a pixel lacks against the paper around
    it, in which shadows cancel; then hysteresis between `WEAK` and `STRONG` of the ink's full contrast; last, ruled
    lines, page edges, frames and specks are removed (`marks.digit_mask`).

    Args:
        grey: [h, w] in 0..255, 0 = black, 255 = white.
        line: whether to keep all marks beside each other, not only those of one digit.

    Returns:
        float32 [h', w'] in 0..1, 0 = paper, 1 = ink; the size of `grey`, or its longer side reduced to `WORK_PX`.

    Raises:
        DataError: nothing stands out from the paper.

    Source: a threshold relative to the surroundings' brightness and contrast, as in Sauvola and Pietikainen 2000,
    "Adaptive document image binarization".
    """
    return find_ink(grey, line=line).ink


def find_ink(grey: np.ndarray, *, line: bool = False) -> Found:
    """The same, with the number of characters and lines in the picture. Args and errors: as of `ink_of`."""
    grey = shrink(np.asarray(grey), WORK_PX)
    grey = 255 - grey if is_light_on_dark(grey) else grey
    if not is_tight(grey):
        return _dark_ink(grey, line)
    wide, margin = with_margin(grey)
    found = _dark_ink(wide, line)
    return found._replace(ink=found.ink[margin:-margin, margin:-margin])


def with_margin(grey: np.ndarray) -> tuple[np.ndarray, int]:
    """Puts paper around a tight crop of dark ink, float32 [h, w]; returns it, and how many pixels at each side."""
    margin = round(TIGHT_MARGIN * max(grey.shape))
    return np.pad(grey, margin, constant_values=float(np.median(grey[~_dark(grey)]))), margin


def _dark_ink(grey: np.ndarray, line: bool) -> Found:
    """The ink of a picture with dark ink on light paper, float32 [h, w], at most twice `WORK_PX` long."""
    contrast, noise = paper_contrast(grey)
    floor = max(MIN_CONTRAST, NOISE_FACTOR * noise)
    if contrast.max() <= floor:
        raise DataError("no ink in the picture: nothing stands out from the paper")
    clear = contrast >= min(max(floor, otsu(contrast)), contrast.max())
    full = float(full_contrast(np.sort(contrast[clear]), clear.sum()))
    darkness = np.clip((contrast - 2 * noise) / (full - 2 * noise), 0, 1)
    mask, marks = digit_mask(
        contrast > max(WEAK * full, floor), contrast > STRONG * full, darkness, in_line if line else chosen
    )
    faintest = FAINT if max(grey.shape) > FAINT_PX else 0
    ink = np.where(mask & (darkness > faintest), darkness, 0).astype(np.float32)
    return Found(ink, several.count_characters(marks), several.count_lines(marks))


def full_contrast(ordered: np.ndarray, count: np.ndarray | np.integer) -> np.ndarray:
    """The contrast that nine tenths of the `count` clearest pixels stay below, as `np.percentile` of each picture.

    Args:
        ordered: float32 [..., n], the contrasts of a picture, ascending.
        count: int [...], of the last ones.

    Returns:
        float32 [...].
    """
    counts = np.asarray(count)
    at = (counts - 1) * (CLEAR / 100)
    below = np.floor(at)
    places = ordered.shape[-1] - counts + below.astype(int)
    above = np.minimum(places + 1, ordered.shape[-1] - 1)
    low, high = (np.take_along_axis(ordered, place[..., None], -1)[..., 0] for place in (places, above))
    share, step = at - below, high - low
    from_low = low + step * share.astype(np.float32)
    return np.where(share < 0.5, from_low, high - step * (1 - share).astype(np.float32))


def is_light_on_dark(grey: np.ndarray) -> bool:
    """The rule of polarity: strokes are narrower than the paper around them, so ink differs more from its surround.

    Each pixel is compared with its surroundings' mean (a Gaussian); if the lighter ones differ more in the sum of
    squares, the writing is light on dark. Shadows and frames hardly count, as both sides of an edge differ alike.
    Without a margin this says little. Then two more properties count: ink is one piece, and paper is in many, where
    strokes reach the outline; and most of the outline is paper. Measured: right for every MNIST digit, and for 99.8 %
    of those cropped to their ink (84 % by the first rule alone).

    grey [h, w] in 0..255 -> bool.
    """
    from scipy import ndimage

    thumbnail = shrink(grey, POLARITY_PX)
    sigma_px = SURROUNDINGS_SHARE * min(thumbnail.shape)
    difference = thumbnail - ndimage.gaussian_filter(thumbnail, sigma_px, mode="reflect")
    excess = float((difference * np.abs(difference)).sum() / max((difference**2).sum(), 1e-6))
    if abs(excess) > SURE or np.ptp(thumbnail) < PLAIN:
        return excess > 0
    dark = _dark(thumbnail)
    outline = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    return excess / 2 + _largest_share(~dark) - _largest_share(dark) + outline.mean() - 0.5 > 0


def is_tight(grey: np.ndarray) -> bool:
    """Whether a picture of dark ink is cropped to it: ink nearly reaches two opposite sides, and covers much of it.

    No part of such a picture shows how bright the paper is around the strokes, and how even. grey [h, w] -> bool.
    """
    if min(grey.shape) < LOCAL_PX:
        return False
    dark = _dark(grey)
    if not TIGHT_INK < dark.mean() < 1:
        return False
    outline = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    rims = [max(1, round(TIGHT_RIM * side)) for side in dark.shape]
    inside, whole = np.var(grey[dark]) * dark.mean() + np.var(grey[~dark]) * (~dark).mean(), np.var(grey)
    return bool(
        inside < (1 - TIGHT_SPLIT) * whole
        and outline.mean() < TIGHT_OUTLINE
        and any(part[:rim].any() and part[-rim:].any() for part, rim in ((dark, rims[0]), (dark.T, rims[1])))
    )


def _dark(grey: np.ndarray) -> np.ndarray:
    """The darker of two classes of grey values. [h, w] -> bool [h, w]; neither is empty unless all values are equal."""
    darkest, lightest = float(grey.min()), float(grey.max())
    if darkest == lightest:
        return np.zeros(grey.shape, bool)
    share = (grey - darkest) / (lightest - darkest)
    return share < min(otsu(share), 1)


def _largest_share(mask: np.ndarray) -> float:
    """The share of a mask's pixels that its largest component has; 0 if it is empty."""
    from scipy import ndimage

    sizes = np.bincount(ndimage.label(mask, EIGHT)[0].ravel())[1:]
    return float(sizes.max() / sizes.sum()) if sizes.size else 0.0


def paper_contrast(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """How much darker than the paper each pixel is, and the paper's noise. For dark ink on light paper.

    The paper is the morphological closing with a square wider than any stroke, so larger dark areas count as paper;
    in pictures smaller than `LOCAL_PX` it is the lightest pixel.

    Args:
        grey: float32 [h, w] in 0..255.

    Returns:
        float32 [h, w] in 0..1, 0 = paper, 1 = no light; and the standard deviation of it on blank paper.
    """
    if min(grey.shape) < LOCAL_PX:
        return np.clip(1 - grey / max(grey.max(), 1), 0, 1), 0.0
    paper = paper_of(grey, paper_px=PAPER_PX, stroke_share=STROKE_SHARE, least_px=3, smooth=SMOOTH)
    return contrast_with(grey, paper)


def paper_of(grey: np.ndarray, *, paper_px: int, stroke_share: float, least_px: int, smooth: float) -> np.ndarray:
    """How bright the paper is at each pixel: the closing of a reduced picture, with its steps smoothed.

    Args:
        grey: float32 [h, w] in 0..255, dark ink on light paper.
        paper_px: longer side of the reduced picture.
        stroke_share: side of the closing's square, as a share of the shorter side.
        least_px: its side, at least.
        smooth: its side divided by the standard deviation that smooths the steps.
    """
    from scipy import ndimage

    thumbnail = shrink(grey, paper_px)
    size = max(least_px, round(stroke_share * min(thumbnail.shape)))
    flat = filters.median_of_nine(thumbnail)
    paper = ndimage.grey_closing(flat, size=(size, size), mode="nearest")
    return resize(ndimage.gaussian_filter(paper, size / smooth, mode="nearest"), grey.shape)


def contrast_with(grey: np.ndarray, paper: np.ndarray, *, sample_px: int = 0) -> tuple[np.ndarray, float]:
    """How much darker than its paper each pixel is, and the paper's noise (see `paper_contrast`).

    sample_px: about how many rows and columns the noise is measured on; 0: on all.
    """
    lack = np.divide(grey, np.maximum(paper, 1))
    np.subtract(1, lack, out=lack)
    down, across = (max(1, side // sample_px) if sample_px else 1 for side in lack.shape)
    some = lack[::down, ::across]
    level = np.median(some)
    noise = 1.4826 * float(np.median(np.abs(some - level)))  # of a normal distribution; ink is the smaller part
    lack -= level
    return np.clip(lack, 0, 1, out=lack), noise


def otsu(contrast: np.ndarray) -> float:
    """The threshold that best splits values in 0..1, of any shape, into two classes (Otsu 1979), to 1/256."""
    from PIL import Image

    levels = np.minimum(contrast * LEVELS, LEVELS - 1).astype(np.uint8).reshape(1, -1)
    return float(_best_split(np.array(Image.fromarray(levels).histogram())[None])[0])


def otsu_of_each(contrasts: np.ndarray) -> np.ndarray:
    """The same of each row: float [N, n] -> float64 [N]."""
    pictures = len(contrasts)
    levels = np.minimum((contrasts * LEVELS).astype(np.intp), LEVELS - 1)
    levels += LEVELS * np.arange(pictures)[:, None]
    return _best_split(np.bincount(levels.ravel(), minlength=LEVELS * pictures).reshape(pictures, LEVELS))


def _best_split(counts: np.ndarray) -> np.ndarray:
    """The thresholds of histograms: int [N, LEVELS] -> float64 [N]."""
    mass_at = counts * MIDDLES
    below, total = np.cumsum(counts, axis=1), counts.sum(axis=1, keepdims=True)
    mass_below, mass = np.cumsum(mass_at, axis=1), mass_at.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass * below / total - mass_below) ** 2 / (below * (total - below))
    between[~np.isfinite(between)] = 0
    return (np.argmax(between, axis=1) + 1) / LEVELS
