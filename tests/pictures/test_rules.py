"""Printed lines go, and the ink that crosses them stays whole."""

import numpy as np
import pytest

from hwr_jax.data import pages
from hwr_jax.pictures import page, rules


def composed(digits, **options):
    rng = np.random.default_rng(1)
    glyphs = np.asarray(digits.test.image[:18, ..., 0])
    return pages.compose(rng, glyphs, np.asarray(digits.test.label[:18]), [6, 6, 6], digit_px=40, **options)


@pytest.mark.parametrize(
    "options", [{"paper": "grid"}, {"paper": "ruled"}, {"paper": "grid", "tilt_deg": 3.0}], ids=str
)
def test_pale_lines_go_and_the_digits_stay(digits, options):
    lined, plain = composed(digits, **options), composed(digits, **{**options, "paper": "plain"})
    contrast, noise = page.paper_contrast(lined.grey.astype(np.float32))
    floor = max(0.06, 3 * noise)
    left = rules.without_pale_lines(contrast, floor, 0.75)
    ink = np.zeros(contrast.shape, bool)
    for x, y, w, h in lined.boxes:
        ink[int(y) - 2 : int(y + h) + 3, int(x) - 2 : int(x + w) + 3] = True
    assert (contrast > floor)[~ink].mean() > 0.01
    assert (left > floor)[~ink].mean() < 0.005
    dark = contrast > 0.5 * contrast.max()
    assert (left > 0)[dark].mean() > 0.99
    assert len(plain.boxes) == len(lined.boxes)


def test_a_page_without_lines_stays_as_it_is(digits):
    contrast, _ = page.paper_contrast(composed(digits).grey.astype(np.float32))
    np.testing.assert_array_equal(rules.without_pale_lines(contrast, 0.06, 0.75), contrast)
    small = np.ones((40, 40), np.float32)
    assert rules.without_pale_lines(small, 0.1, 0.75) is small


def test_percentiles_are_those_of_numpy():
    values = np.random.default_rng(0).random((40, 60), np.float32)
    values[values < 0.4] = 0
    values[3] = 0
    expected = [np.percentile(row[row > 0], 35) if row.any() else 0 for row in values]
    np.testing.assert_array_equal(rules._percentiles(values, 35), expected)


@pytest.mark.parametrize("slope", [0.0, 0.03, -0.06])
@pytest.mark.parametrize("row", [2, 40, 97])
def test_a_pale_line_goes_wherever_it_leaves_the_picture(slope, row):
    contrast = np.zeros((100, 150), np.float32)
    contrast[30:70, 60:66] = 0.8
    x = np.arange(150)
    y = np.clip(np.rint(row + slope * (x - 75)).astype(int), 0, 99)
    contrast[y, x] = np.maximum(contrast[y, x], 0.3)
    left = rules.without_pale_lines(contrast, 0.1, 0.8)
    assert (left[:, :55] == 0).all()
    np.testing.assert_array_equal(left[30:70, 60:66], contrast[30:70, 60:66])
