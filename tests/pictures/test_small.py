"""Small pictures read together: the bits of each read alone, or None."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import ink, normalise, small


def digits(count, size=28):
    """Dark digits of scikit-learn on white, enlarged: uint8 [N, size, size]."""
    from PIL import Image

    raw = (load_digits().images[:count] * 255 / 16).astype(np.uint8)
    inside = size - 8
    large = [np.asarray(Image.fromarray(one).resize((inside, inside), Image.Resampling.BICUBIC)) for one in raw]
    return 255 - np.stack([np.pad(one, 4) for one in large])


def alone(grey):
    try:
        return normalise.normalised(grey)
    except DataError:
        return None


def assert_same(greys):
    """Returns how many were read together."""
    found = small.normalised_together(greys)
    for grey, one in zip(greys, found, strict=True):
        if one is not None:
            expected = alone(grey)
            np.testing.assert_array_equal(one.image, expected.image)
            assert one[1:] == expected[1:]
    return sum(one is not None for one in found)


def changed(greys, how, rng):
    x = 255.0 - greys
    if how == "light on dark":
        return x
    if how == "faint":
        return 200 - 0.3 * x
    if how == "shaded":
        return greys * np.linspace(0.7, 1, greys.shape[2])
    if how == "noisy":
        return 230 - 0.7 * x + rng.normal(0, 12, x.shape)
    if how == "thin":
        return 255 - np.where(x > np.quantile(x, 0.9, axis=(1, 2), keepdims=True), x, 0)
    if how == "two":
        return np.minimum(np.roll(greys, 8, axis=2), np.roll(greys, -8, axis=2))
    if how == "at the edge":
        return np.roll(greys, 9, axis=2)
    return greys


@pytest.mark.parametrize(
    "how", ["plain", "light on dark", "faint", "shaded", "noisy", "thin", "two", "at the edge"]
)  # fmt: skip
@pytest.mark.parametrize("size", [28, 40])
def test_pictures_read_together_are_read_as_each_alone(how, size):
    made = changed(digits(70, size), how, np.random.default_rng(0))
    count = assert_same(list(np.clip(np.rint(made), 0, 255).astype(np.uint8)))
    assert count > 40 or how in ("two", "at the edge", "noisy")


def test_pictures_of_16_bits_and_of_several_sizes_are_read_together_too():
    greys = [*digits(5, 28), *(digits(5, 32) * np.float32(0.731)), *digits(5, 28)[:, 2:-1]]
    assert assert_same(greys) == 15


def test_what_is_not_certain_is_left_alone():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8)
    blank, tight = np.full((28, 28), 200, np.uint8), digits(1, 44)[0][6:38, 6:38]
    large, tiny = np.full((60, 60), 255, np.uint8), digits(1, 24)[0][::3, ::3]
    framed = digits(1)[0].copy()
    framed[1], framed[-2], framed[:, 1], framed[:, -2] = 0, 0, 0, 0
    found = small.normalised_together([blank, large, tiny, framed])
    assert found == [None] * 4
    assert_same([*noise, tight])
    assert small.normalised_together([]) == []


def test_each_kind_of_decision_is_made_as_by_the_functions_for_one_picture():
    greys = digits(64).astype(np.float32)
    contrast, noise = small._contrast(greys)
    for grey, one, of in zip(greys, contrast, noise, strict=True):
        expected, its_noise = ink.paper_contrast(grey)
        np.testing.assert_array_equal(one, expected)
        assert of == its_noise
    loose = small._is_surely_loose(greys)
    assert loose.any()
    assert not any(ink.is_tight(grey) for grey in greys[loose])


def test_the_full_contrast_is_numpys_percentile():
    rng = np.random.default_rng(0)
    values = np.sort(np.round(rng.random((50, 300)), 2).astype(np.float32), axis=1)
    counts = rng.integers(1, 301, 50)
    found = ink.full_contrast(values, counts)
    assert found.tolist() == [
        float(np.percentile(row[300 - n :], 90)) for row, n in zip(values, counts, strict=True)
    ]  # fmt: skip
