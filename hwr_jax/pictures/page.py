"""From a picture of a page to the marks of ink on it. Owns a page's polarity, its uneven light and its threshold.

`ink.py` does the same for one digit or one line: there one threshold holds for all of the picture, and here each mark
is judged by the ink around it, for on a page faint pencil stands beside a stamp.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import filters, ink, marks, perspective, rules, sheet
from hwr_jax.pictures.ink import MIN_CONTRAST, NOISE_FACTOR, STRONG, WEAK, contrast_with, otsu, paper_of
from hwr_jax.pictures.marks import EIGHT, Mark
from hwr_jax.pictures.resample import resize, shrink

PAGE_PX = 1200  # larger pages are averaged down to this longer side: digits of 1 % of a page stay 12 pixels high
SCALES = (0.01, 0.02, 0.04, 0.08)  # of the surroundings that polarity compares with, as shares of the longer side
SIGMA_PX = 4  # the standard deviation of these surroundings; the picture is averaged down to that
EVEN_GREY = 2.0  # grey values: a standard deviation below this is noise
PAPER_PX = 200  # the paper's brightness varies slowly
STROKE_SHARE = 0.12  # no stroke is wider than this share of the shorter side; wider dark areas are shadow or table
SMOOTH = 8  # the closing's window divided by the standard deviation that smooths its steps
SAMPLE_PX = 300  # rows and columns that the paper's noise is measured on
LOCAL_PX = 160  # smaller pictures hold a word or two: one contrast for all
TIGHT_PX = 400  # a larger picture is no crop of a digit: half of a page may lie in shadow
AROUND = 0.08  # how far the ink is looked for with which a mark is compared, as a share of the longer side
FAINTEST = 0.2  # of the page's full contrast: fainter ink is not looked for
ABOVE_FLOOR = 1.5  # times the contrast of texture


class PageInk(NamedTuple):
    """The ink of a page."""

    grey: np.ndarray  # float32 [h, w] in 0..255, dark ink on light paper, at most PAGE_PX long
    contrast: np.ndarray  # float32 [h, w] in 0..1, 0 = paper, 1 = no light
    darkness: np.ndarray  # float32 [h, w] in 0..1, 1 = as dark as the ink around
    labels: np.ndarray  # int32 [h, w], 0 = paper, else the label of a mark
    marks: list[Mark]
    to_picture: np.ndarray  # float [3, 3], the map from x, y here to those in the picture
    sheet: sheet.Sheet | None  # that was cut out; None: the page is all of the picture

    def boxes_in_picture(self, boxes: np.ndarray) -> np.ndarray:
        """The boxes x, y, width, height in the picture around boxes top, left, bottom, right here: [N, 4] -> float
        [N, 4]."""
        corners = np.asarray(boxes, float).reshape(-1, 4)[:, [1, 0, 3, 0, 3, 2, 1, 2]]
        seen = perspective.moved(self.to_picture, corners.reshape(-1, 2)).reshape(-1, 4, 2)
        return np.concatenate([seen.min(axis=1), np.ptp(seen, axis=1)], axis=1)


def find_marks(grey: np.ndarray) -> PageInk:
    """Finds the marks of ink on a page, without ruled lines.

    Args:
        grey: [h, w] in 0..255, 0 = black, 255 = white.

    Raises:
        DataError: nothing stands out from the paper.
    """
    from scipy import ndimage

    found = sheet.cut(grey, PAGE_PX)
    values = shrink(grey, PAGE_PX) if found is None else found.grey
    if found is None:
        to_picture = perspective.scaled((0, 0), (grey.shape[1] / values.shape[1], grey.shape[0] / values.shape[0]))
    else:
        to_picture = found.to_picture
    cropped = _cropped_to_ink(values) if max(grey.shape) <= TIGHT_PX else None
    if cropped is not None:  # the rule of polarity on a page needs paper
        values, margin = ink.with_margin(cropped)
        to_picture = to_picture @ perspective.scaled((-margin, -margin), (1, 1))
    elif is_light_on_dark(values):
        values = 255 - values
    contrast, noise = paper_contrast(values)
    floor = max(MIN_CONTRAST, NOISE_FACTOR * noise)
    if contrast.max() <= floor:
        raise DataError("no ink on the page: nothing stands out from the paper")
    full_of_page = _full(contrast, floor)
    unlined = rules.without_pale_lines(contrast, floor, full_of_page)
    if unlined is not contrast:
        contrast, full_of_page = unlined, _full(unlined, floor)
    full = ink_around(contrast, full_of_page, floor)
    darkness = np.clip((contrast - 2 * noise) / (full - 2 * noise), 0, 1).astype(np.float32)
    weak = rules.without_lines(contrast > np.maximum(WEAK * full, floor))
    labels = ndimage.label(weak, EIGHT)[0]
    found_marks = marks.measured(labels, darkness, contrast > STRONG * full)
    return PageInk(values, contrast, darkness, labels, found_marks, to_picture, found)


def _cropped_to_ink(values: np.ndarray) -> np.ndarray | None:
    """The same with dark ink, if they are a tight crop of it; else None."""
    dark = 255 - values if ink.is_light_on_dark(values) else values
    return dark if ink.is_tight(dark) else None


def _full(contrast: np.ndarray, floor: float) -> float:
    """The contrast of the darkest ink of a page, but for a tenth of it."""
    clear = contrast >= min(max(floor, otsu(contrast)), contrast.max())
    return float(np.percentile(contrast[clear], 90))


def is_light_on_dark(grey: np.ndarray) -> bool:
    """The rule of polarity on a page: each pixel is compared with its surroundings, in units of their deviation, and
    strokes are the few that differ much. Their sign is that of the skewness, at the scale at which it is largest.

    A shadow, or a table's edge, has about as much on its light side as on its dark side. Right for all of 278 pictures
    of other people, where the rule for single digits (`ink.is_light_on_dark`) takes three shadowed pages for slates.

    grey float32 [h, w] in 0..255 -> bool.
    """
    small, skewness = grey, []
    for share in SCALES:
        small = shrink(small, round(SIGMA_PX / share))
        sigma_px = max(1.5, share * max(small.shape))
        difference = small - filters.gaussian(small, sigma_px, "nearest")
        variance = filters.gaussian(difference**2, 4 * sigma_px, "nearest")
        skewness.append(float(np.mean((difference / np.maximum(np.sqrt(variance), EVEN_GREY)) ** 3)))
    return max(skewness, key=abs) > 0


def paper_contrast(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """How much darker than the paper each pixel of a page is, and the paper's noise. See `ink.paper_contrast`."""
    paper = paper_of(grey, paper_px=PAPER_PX, stroke_share=STROKE_SHARE, least_px=5, smooth=SMOOTH)
    return contrast_with(grey, paper, sample_px=SAMPLE_PX)


def ink_around(contrast: np.ndarray, full: float, floor: float) -> np.ndarray:
    """The full contrast of the ink around each pixel: that of a pencil is a third of a marker's.

    Args:
        contrast: float32 [h, w] in 0..1.
        full: the contrast of the darkest ink of the page.
        floor: what is fainter is texture.

    Returns:
        float32 [h, w].
    """
    from scipy import ndimage

    if max(contrast.shape) <= LOCAL_PX:
        return np.full(contrast.shape, full, np.float32)
    step = max(1, round(max(contrast.shape) / 300))
    smooth = filters.mean_of_four(contrast)  # a single pixel is noise
    blocks = filters.largest_of_blocks(smooth, step)
    around = max(3, round(AROUND * max(blocks.shape)))
    darkest = filters.gaussian(ndimage.maximum_filter(blocks, around), around / 2)
    return np.maximum(resize(darkest, contrast.shape), max(FAINTEST * full, ABOVE_FLOOR * floor))
