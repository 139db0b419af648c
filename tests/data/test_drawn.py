"""Digits drawn stroke by stroke: as the models know images, the same for a seed, and only in the training set."""

import itertools

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from hwr_jax import data
from hwr_jax.core.errors import ConfigError
from hwr_jax.data import drawn


def test_they_look_as_the_models_know_images():
    images, digit = drawn.draw(100, seed=0)
    assert (images.shape, images.dtype, digit.dtype) == ((100, 28, 28), np.uint8, np.int32)
    assert np.bincount(digit).tolist() == [10] * 10
    assert (images.max((1, 2)) == 255).all()
    assert len(np.unique(images, axis=0)) == 100


def test_a_seed_draws_the_same_ones_again():
    one, same, other = (drawn.draw(30, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert not np.array_equal(one[0], other[0])


def test_every_style_is_a_digit_that_other_people_would_write(digits):
    """Nearest neighbours among 1,097 scanned digits of 8x8 pixels, of other hands, know half of the drawn ones."""
    known = KNeighborsClassifier(5).fit(np.asarray(digits.train.image).reshape(-1, 784) / 255, digits.train.label)
    images, digit = drawn.draw(300, seed=1)
    assert (known.predict(images.reshape(-1, 784) / 255) == digit).mean() > 0.45


@pytest.mark.parametrize("style", dict.fromkeys(itertools.chain(*drawn.STYLES)), ids=lambda s: s.__name__)
def test_a_style_stays_near_its_unit_square(style):
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = np.concatenate(style(lambda low, high: float(rng.uniform(low, high))))
        assert points.min() > -0.35
        assert points.max() < 1.35


def test_a_curve_goes_through_its_points_and_a_point_twice_is_a_corner():
    points = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    path = drawn._smooth(points)
    assert all(np.abs(path - p).sum(1).min() < 1e-12 for p in points)
    corner = drawn._smooth(np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 1.0)]))
    assert corner[:, 0].max() <= 1 + 1e-12


def test_they_are_added_to_the_training_set_alone(digits):
    said = []
    more = drawn.add(digits, 40, seed=0, log=said.append)
    assert said == ["Drawing 40 digits"]
    assert more.classes == digits.classes
    assert np.bincount(more.train.label[len(digits.train.label) :], minlength=10).tolist() == [4] * 10
    assert more.test is digits.test
    assert more.validation is digits.validation
    assert len({d.sha256 for d in (digits, more, drawn.add(digits, 40, seed=1, log=said.append))}) == 3
    with pytest.raises(ConfigError, match="drawn=40 draws the digits 0 to 9, and digits lacks some: use 0"):
        drawn.add(digits._replace(classes=("a", *digits.classes[1:])), 40, seed=0)


def test_load_adds_both_kinds(caches):
    options = {"cache_dir": caches["HWR_CACHE_DIR"], "log": lambda line: None}
    both = data.load("digits", negatives=12, drawn=20, **options)
    assert len(both.train.label) == 1097 + 32
    assert (np.asarray(both.train.label) == 10).sum() == 12
    with pytest.raises(ConfigError, match="drawn=20 needs config.data.stream=False"):
        data.load("digits", drawn=20, stream=True, **options)
    with pytest.raises(ConfigError, match="drawn=20 needs images of 28x28 pixels"):
        data.load("strings", drawn=20, layout={}, **options)
