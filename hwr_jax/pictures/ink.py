"""From grey values to ink. Owns polarity, the paper's brightness and the threshold.

`decode.py` reads the files, `marks.py` decides which marks form the digit, and `normalise.py` fits them into 28x28.
Lengths are shares of the picture, so the same drawing gives the same ink at any resolution.
"""

from __future__ import annotations

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.pictures.marks import chosen, digit_mask, in_line

WORK_PX = 640  # larger pictures are averaged down to this longer side: a pen line on a full page stays 2 pixels wide
POLARITY_PX = 48  # polarity is a property of large areas
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
    grey = shrink(np.asarray(grey, np.float32), WORK_PX)
    contrast, noise = paper_contrast(255 - grey if is_light_on_dark(grey) else grey)
    floor = max(MIN_CONTRAST, NOISE_FACTOR * noise)
    if contrast.max() <= floor:
        raise DataError("no ink in the picture: nothing stands out from the paper")
    clear = contrast >= min(max(floor, _otsu(contrast)), contrast.max())
    full = float(np.percentile(contrast[clear], 90))
    darkness = np.clip((contrast - 2 * noise) / (full - 2 * noise), 0, 1)
    mask = digit_mask(
        contrast > max(WEAK * full, floor), contrast > STRONG * full, darkness, in_line if line else chosen
    )
    faintest = FAINT if max(grey.shape) > FAINT_PX else 0
    return np.where(mask & (darkness > faintest), darkness, 0).astype(np.float32)


def is_light_on_dark(grey: np.ndarray) -> bool:
    """The rule of polarity: strokes are narrower than the paper around them, so ink differs more from its surround.

    Each pixel is compared with its surroundings' mean (a Gaussian); if the lighter ones differ more in the sum of
    squares, the writing is light on dark. Shadows, frames and the table around a sheet hardly count, as both sides of
    an edge differ alike. Measured: right for every MNIST test digit, wrong for 8 % of those cropped without any margin.

    grey [h, w] in 0..255 -> bool.
    """
    from scipy import ndimage

    thumbnail = shrink(grey, POLARITY_PX)
    sigma_px = SURROUNDINGS_SHARE * min(thumbnail.shape)
    difference = thumbnail - ndimage.gaussian_filter(thumbnail, sigma_px, mode="reflect")
    return bool((difference * np.abs(difference)).sum() > 0)


def paper_contrast(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """How much darker than the paper each pixel is, and the paper's noise. For dark ink on light paper.

    The paper is the morphological closing with a square wider than any stroke, so larger dark areas count as paper;
    in pictures smaller than `LOCAL_PX` it is the lightest pixel.

    Args:
        grey: float32 [h, w] in 0..255.

    Returns:
        float32 [h, w] in 0..1, 0 = paper, 1 = no light; and the standard deviation of it on blank paper.
    """
    from scipy import ndimage

    if min(grey.shape) < LOCAL_PX:
        return np.clip(1 - grey / max(grey.max(), 1), 0, 1), 0.0
    thumbnail = shrink(grey, PAPER_PX)
    size = max(3, round(STROKE_SHARE * min(thumbnail.shape)))
    smooth = ndimage.median_filter(thumbnail, size=3, mode="nearest")
    paper = ndimage.grey_closing(smooth, size=(size, size), mode="nearest")
    paper = _resize(ndimage.gaussian_filter(paper, size / SMOOTH, mode="nearest"), grey.shape)
    lack = 1 - grey / np.maximum(paper, 1)
    level = np.median(lack)
    noise = 1.4826 * float(np.median(np.abs(lack - level)))  # of a normal distribution; ink is the smaller part
    return np.clip(lack - level, 0, 1), noise


def shrink(grey: np.ndarray, longer_px: int) -> np.ndarray:
    """Average so that the longer side is at most `longer_px`. float32 [h, w] -> float32 [h', w']."""
    scale = longer_px / max(grey.shape)
    if scale >= 1:
        return grey
    return _resize(grey, (max(1, round(grey.shape[0] * scale)), max(1, round(grey.shape[1] * scale))))


def _resize(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Average when shrinking, interpolate linearly when enlarging. float32 [h, w] -> float32 [*shape]."""
    from PIL import Image

    if values.shape == tuple(shape):
        return values
    kernel = Image.Resampling.BOX if shape[0] < values.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(values).resize(shape[::-1], kernel))


def _otsu(contrast: np.ndarray) -> float:
    """The threshold that best splits values in 0..1 into two classes (Otsu 1979), to 1/256."""
    counts, edges = np.histogram(contrast, bins=256, range=(0, 1))
    middle = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), counts.sum()
    mass_below, mass = np.cumsum(counts * middle), (counts * middle).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass * below / total - mass_below) ** 2 / (below * (total - below))
    return float(edges[1:][np.argmax(np.nan_to_num(between, posinf=0))])
