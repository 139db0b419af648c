"""Pages: polarity, uneven light, faint ink beside dark ink, and where the marks are in the picture."""

import numpy as np
import pytest

from hwr_jax.core.errors import DataError
from hwr_jax.data import pages
from hwr_jax.pictures import page


@pytest.fixture
def write(digits):
    glyphs, labels = np.asarray(digits.test.image[..., 0]), np.asarray(digits.test.label)

    def compose(seed, count=24, **options):
        rows = [6] * (count // 6)
        return pages.compose(np.random.default_rng(seed), glyphs[:count], labels[:count], rows, **options)

    return compose


@pytest.mark.parametrize("shadow", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_writing_is_found_dark_on_light_and_light_on_dark_in_a_shadow_too(write, seed, shadow):
    grey = write(seed, shadow=shadow).grey.astype(np.float32)
    assert not page.is_light_on_dark(grey)
    assert page.is_light_on_dark(255 - grey)


def test_a_table_beside_the_page_does_not_turn_its_polarity(write):
    grey = write(0).grey.astype(np.float32)
    for value in (10, 60, 120):
        beside = grey.copy()
        beside[-grey.shape[0] // 4 :] = value
        beside[:, -grey.shape[1] // 6 :] = value
        assert not page.is_light_on_dark(beside)


def test_faint_writing_beside_a_black_stamp_is_as_dark_as_the_ink_around_it(write):
    composed = write(1, digit_px=30.0, noise=1.0)
    paper = float(np.median(composed.grey))
    faint = paper + (composed.grey.astype(np.float32) - paper) * 0.3
    tall = np.full((2 * faint.shape[0], faint.shape[1]), paper, np.float32)
    tall[: faint.shape[0]] = faint
    tall[-80:-20, 40:100] = 5.0
    ink = page.find_marks(tall)
    for x, y, width, height in composed.boxes:
        inside = ink.darkness[int(y) : int(y + height), int(x) : int(x + width)]
        assert np.quantile(inside, 0.97) > 0.7


@pytest.mark.parametrize("paper", ["plain", "ruled"])
def test_every_digit_has_a_mark_in_its_box(write, paper):
    composed = write(2, paper=paper, digit_px=40.0)
    ink = page.find_marks(composed.grey)
    assert ink.sheet is None
    (across, _, left), (_, down, top) = ink.to_picture[:2]
    for x, y, width, height in composed.boxes:
        rows = slice(round((y - top) / down), round((y + height - top) / down))
        columns = slice(round((x - left) / across), round((x + width - left) / across))
        labels = ink.labels[rows, columns]
        assert (labels > 0).mean() > 0.1


def test_the_place_of_a_sheet_on_a_desk_is_kept(write):
    composed = write(3, desk=True, tilt_deg=6.0, digit_px=40.0)
    ink = page.find_marks(composed.grey)
    assert ink.to_picture[:2, 2].min() > 0
    tallest = max(ink.marks, key=lambda m: m.mass)
    [(x, y, _, _)] = ink.boxes_in_picture(np.array([[tallest.top, tallest.left, tallest.bottom, tallest.right]]))
    assert any(abs(bx - x) < 4 and abs(by - y) < 4 for bx, by, _, _ in composed.boxes)


def test_a_large_page_is_reduced_and_knows_its_scale(write):
    grey = np.kron(write(4, count=6, digit_px=60.0).grey, np.ones((5, 5), np.uint8))
    ink = page.find_marks(grey)
    assert max(ink.grey.shape) == page.PAGE_PX
    assert np.diag(ink.to_picture)[:2] == pytest.approx([max(grey.shape) / page.PAGE_PX] * 2, rel=0.01)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_page_has_no_ink(value):
    rng = np.random.default_rng(0)
    grey = np.clip(value + rng.normal(0, 1.0, (300, 200)), 0, 255).astype(np.float32)
    with pytest.raises(DataError, match="no ink on the page"):
        page.find_marks(grey)
