"""The filters compute what SciPy's and NumPy's compute, to the last bit."""

import numpy as np
import pytest
from scipy import ndimage

from hwr_jax.pictures import filters


def random_grey(seed, h, w):
    grey = np.random.default_rng(seed).uniform(0, 255, (h, w)).astype(np.float32)
    return grey if seed % 2 else np.round(grey / 40) * 40  # with equal neighbours, too


@pytest.mark.parametrize("mode", ["reflect", "nearest"])
@pytest.mark.parametrize(
    ("shape", "sigma_px"), [((200, 137), 16.0), ((150, 90), 2.3), ((40, 300), 12.5), ((3, 70), 9.0)]
)
def test_the_gaussian_is_that_of_scipy(shape, sigma_px, mode):
    grey = random_grey(1, *shape)
    found = filters.gaussian(grey, sigma_px, mode)
    assert found.dtype == np.float32
    expected = ndimage.gaussian_filter(grey, sigma_px, mode=mode)
    np.testing.assert_allclose(found, expected, rtol=2e-7)  # BLAS sums in another order than SciPy
    assert (found == expected).mean() > 0.999


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (30, 41)])
def test_small_windows_are_those_of_scipy(shape):
    for seed in range(4):
        grey = random_grey(seed, *shape)
        np.testing.assert_array_equal(filters.mean_of_four(grey), ndimage.uniform_filter(grey, 2))
        expected = ndimage.median_filter(grey, size=3, mode="nearest")
        np.testing.assert_array_equal(filters.median_of_nine(grey), expected)
        for reach in (1, 2):
            expected = ndimage.maximum_filter(grey, (2 * reach + 1, 1))
            np.testing.assert_array_equal(filters.highest(grey, reach), expected)


@pytest.mark.parametrize("side_px", [1, 3, 4])
def test_blocks_that_do_not_fit_are_left_out(side_px):
    grey = random_grey(0, 13, 22)
    rows, columns = 13 // side_px, 22 // side_px
    whole = grey[: rows * side_px, : columns * side_px].reshape(rows, side_px, columns, side_px)
    np.testing.assert_array_equal(filters.largest_of_blocks(grey, side_px), whole.max(axis=(1, 3)))
