"""Strokes: their width and a wider pen, against SciPy's general functions to the bit; what is surely wide, is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hwr_jax.pictures import normalise, strokes


def blots(seed, height, width, smooth):
    noise = np.random.default_rng(seed).standard_normal((height, width))
    return ndimage.gaussian_filter(noise, smooth) > 0


masks = st.builds(
    blots, st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 200), st.floats(0.5, 6)
).filter(np.any)  # fmt: skip


def width(mask):
    return 4 * float(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask].mean())


@settings(max_examples=40, deadline=None)
@given(masks)
def test_the_width_is_four_times_the_mean_distance_to_paper(mask):
    assert strokes.width_of(mask) == width(mask)


@pytest.mark.parametrize("shape", [(300, 20), (20, 300), (1, 1), (400, 400)])
def test_the_width_of_solid_ink(shape):
    mask = np.ones(shape, bool)
    assert strokes.width_of(mask) == width(mask)


@settings(max_examples=40, deadline=None)
@given(masks, st.floats(0.3, 1.2))
def test_what_is_surely_so_wide_is_so_wide(mask, share):
    asked = share * width(mask)
    assert not strokes.is_at_least(mask, asked) or width(mask) >= asked


def test_a_stroke_clearly_wider_than_asked_is_surely_so_wide():
    y, x = np.mgrid[:160, :160]
    for slope in (0, 0.4, 1, 2.5):
        stroke = np.abs(y - 80 - slope * (x - 80)) / np.hypot(1, slope) < 12
        assert strokes.is_at_least(stroke, 0.9 * width(stroke))
    assert not strokes.is_at_least(np.zeros((9, 9), bool), 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(masks, min_size=1, max_size=12), st.sampled_from([40, 80, 160]))
def test_of_many_drawings_what_is_surely_wide_is_so_wide_alone(drawn, fine_px):
    inks = [normalise.crop(mask.astype(np.float32)) for mask in drawn]
    for ink, is_wide in zip(inks, strokes.are_surely_wide(inks, fine_px, 0.09 * fine_px), strict=True):
        assert not is_wide or width(on_grid(ink, fine_px)) >= 0.09 * fine_px
        assert not (is_wide and max(ink.shape) >= fine_px)


def test_of_many_drawings_the_clearly_wide_ones_are_found():
    y, x = np.mgrid[:60, :60]
    rings = [(np.abs(np.hypot(y - 30, x - 30) - 20) < half).astype(np.float32) for half in (1, 5, 7, 1)] * 6
    found = strokes.are_surely_wide(list(map(normalise.crop, rings)), 80, 7.0)
    assert found.tolist() == [False, True, True, False] * 6


def on_grid(ink, fine_px):
    large = normalise._fit(ink, fine_px)
    return large > large.max() / 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60), st.floats(0, 7))
def test_a_wider_pen_is_a_dilation_with_a_disc(seed, height, width, radius):
    reach = int(np.ceil(radius))
    values = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    values = np.pad(np.where(values > 0.9, values, np.float32(0)), reach)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    expected = ndimage.grey_dilation(values, footprint=y**2 + x**2 <= radius**2)
    np.testing.assert_array_equal(strokes.widened(values, radius), expected)
