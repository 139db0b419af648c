"""Fewer examples and wrong labels: how many, which, and always the same."""

import itertools

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.data import subset

LABEL = np.repeat(np.arange(4, dtype=np.int32), [10, 30, 20, 40])
TRAIN = Arrays(np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), LABEL)


def rows(arrays):
    return arrays.image[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(("examples", "counts"), [(4, [1, 1, 1, 1]), (40, [10] * 4), (70, [10, 20, 20, 20])])
def test_a_subset_has_as_many_of_each_class_as_there_are(examples, counts):
    few = subset.fewer(TRAIN, examples, seed=0)
    assert np.bincount(few.label).tolist() == counts
    np.testing.assert_array_equal(LABEL[rows(few)], few.label)


def test_a_larger_subset_holds_every_smaller_one_and_another_seed_gives_others():
    sets = [set(rows(subset.fewer(TRAIN, n, seed=1))) for n in (4, 9, 50, 100)]
    assert all(a < b for a, b in itertools.pairwise(sets))
    assert rows(subset.fewer(TRAIN, 9, seed=1)) == sorted(sets[1])
    assert set(rows(subset.fewer(TRAIN, 9, seed=2))) != sets[1]
    assert subset.fewer(TRAIN, 0, seed=1) is TRAIN


def test_more_examples_than_there_are_is_reported():
    with pytest.raises(ConfigError, match="config.data.train_examples=101 is more than the 100 training images"):
        subset.fewer(TRAIN, 101, seed=0)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_exactly_that_share_of_the_labels_is_wrong(share):
    noisy = subset.with_wrong_labels(TRAIN, share, classes=4, seed=3)
    assert np.sum(noisy.label != LABEL) == 100 * share
    assert noisy.label.min() >= 0
    assert noisy.label.max() <= 3
    assert LABEL.tolist() == np.repeat(np.arange(4), [10, 30, 20, 40]).tolist()
    again = subset.with_wrong_labels(TRAIN, share, classes=4, seed=3)
    np.testing.assert_array_equal(noisy.label, again.label)


def test_wrong_labels_are_spread_evenly_over_the_other_classes():
    many = Arrays(None, np.zeros(30_000, np.int32))
    counts = np.bincount(subset.with_wrong_labels(many, 1.0, classes=4, seed=0).label)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:], 10_000, rtol=0.03)


def test_a_data_set_is_cut_and_spoiled_in_training_alone(caches, digits):
    cut = data.load(
        "digits", cache_dir=caches["HWR_CACHE_DIR"], train_examples=50, label_noise=0.2, log=lambda line: None
    )
    assert cut.train.image.shape == (50, 28, 28, 1)
    clean = data.load("digits", cache_dir=caches["HWR_CACHE_DIR"], train_examples=50, log=lambda line: None)
    assert np.sum(cut.train.label != clean.train.label) == 10
    seeded = [
        data.load(
            "digits", cache_dir=caches["HWR_CACHE_DIR"], train_examples=50, subset_seed=seed, log=lambda line: None
        )
        for seed in (0, 1)
    ]
    assert [np.array_equal(one.train.image, clean.train.image) for one in seeded] == [True, False]
    for split in ("validation", "test"):
        np.testing.assert_array_equal(getattr(cut, split).label, getattr(digits, split).label)
    assert cut.sha256 == digits.sha256


def test_a_subset_of_strings_is_any_of_them_with_their_labels():
    strings = Arrays(TRAIN.image, np.arange(200, dtype=np.int32).reshape(100, 2))
    few, more = (subset.fewer(strings, n, seed=4) for n in (10, 20))
    assert len(rows(few)) == 10
    assert rows(few) == sorted(rows(few))
    assert set(rows(few)) < set(rows(more))
    assert few.label.tolist() == [[2 * i, 2 * i + 1] for i in rows(few)]


def test_all_examples_may_be_asked_for():
    assert rows(subset.fewer(TRAIN, 100, seed=0)) == list(range(100))


def test_strings_have_no_wrong_labels():
    subset.refuse_noise_for_strings(0.0)
    with pytest.raises(ConfigError, match=r"config.data.label_noise=0.1 is not for strings"):
        subset.refuse_noise_for_strings(0.1)
