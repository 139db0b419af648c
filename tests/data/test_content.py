"""Digest, moments and splits of a data set's content."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data import content, splits
from hwr_jax.data.content import Content


def some(examples: int = 7, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    return Arrays(random.integers(0, 256, (examples, 28, 28, 1), np.uint8), random.integers(0, 10, examples, np.int32))


def test_the_digest_is_over_exactly_what_is_documented():
    train, test = some(), some(3, seed=1)
    lines = ["mnist"]
    for split, pair, examples in (("train", train, 7), ("test", test, 3)):
        lines.append(f"{split}_image uint8 {examples}x28x28x1 {hashlib.sha256(pair.image.tobytes()).hexdigest()}")
        little_endian = pair.label.astype("<i4").tobytes()
        lines.append(f"{split}_label int32 {examples} {hashlib.sha256(little_endian).hexdigest()}")
    expected = hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()
    assert content.digest("mnist", Content(train, test)) == expected


def test_the_digest_depends_on_name_and_order_but_not_on_the_layout_in_memory():
    train, test = some(), some(3, seed=1)
    digest = content.digest("mnist", Content(train, test))
    strided = Arrays(np.asfortranarray(train.image), train.label.astype(">i4"))
    assert content.digest("mnist", Content(strided, test)) == digest
    assert content.digest("kmnist", Content(train, test)) != digest
    assert content.digest("mnist", Content(Arrays(train.image[::-1], train.label), test)) != digest


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 300), st.integers(0, 2**32))
def test_the_moments_are_those_of_numpy_in_float64(examples, seed):
    image = np.random.default_rng(seed).integers(0, 256, (examples, 28, 28, 1), np.uint8)
    mean, std = content.moments(image)
    np.testing.assert_allclose([mean, std], [(image / 255).mean(), (image / 255).std()], rtol=1e-12)


def test_the_moments_of_one_colour_are_exact():
    assert content.moments(np.full((2, 28, 28, 1), 255, np.uint8)) == (1.0, 0.0)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 200), st.data(), st.booleans())
def test_every_example_lands_in_exactly_one_split_and_keeps_its_order(examples, data, stratified):
    taken = data.draw(st.integers(0, examples - 1))
    label = np.random.default_rng(examples).integers(0, 10, examples, np.int32)
    index = np.arange(examples, dtype=np.int32)
    rest, validation = splits.carve(Arrays(index, label), taken, stratified=stratified)
    assert len(validation.image) == taken
    assert sorted([*rest.image, *validation.image]) == index.tolist()
    for part in (rest, validation):
        assert (np.diff(part.image) > 0).all()
        np.testing.assert_array_equal(part.label, label[part.image])


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 400), st.data())
def test_a_stratified_split_takes_from_each_class_in_proportion(examples, data):
    taken = data.draw(st.integers(1, examples - 1))
    label = np.random.default_rng(examples).integers(0, 10, examples, np.int32)
    _, validation = splits.carve(Arrays(label, label), taken, stratified=True)
    ideal = np.bincount(label, minlength=10) * taken / examples
    assert np.abs(np.bincount(validation.label, minlength=10) - ideal).max() <= 1.5


def test_a_stratified_split_uses_up_no_class_while_others_have_two():
    label = np.array([0, 1, 2, 2, 3, 3, 3], np.int32)
    for taken in range(1, 4):
        rest, _ = splits.carve(Arrays(label, label), taken, stratified=True)
        assert set(rest.label) == {0, 1, 2, 3}, taken
    rest, _ = splits.carve(Arrays(label, label), 4, stratified=True)
    assert len(set(rest.label)) == 3


def test_the_split_is_the_same_everywhere_and_forever():
    index = np.arange(60_000, dtype=np.int32)
    _, validation = splits.carve(Arrays(index, index), 5_000, stratified=False)
    expected = np.random.Generator(np.random.PCG64(1998)).permutation(60_000)[:5_000]
    assert set(validation.image) == set(expected)
    assert hashlib.sha256(validation.image.tobytes()).hexdigest()[:16] == "d644ea53b5f348f3"


def test_a_larger_validation_split_contains_the_smaller_one():
    index = np.arange(1000, dtype=np.int32)
    small, large = (splits.carve(Arrays(index, index % 10), n, stratified=False)[1].image for n in (100, 200))
    assert set(small) < set(large)


def test_no_validation_copies_nothing():
    train = some()
    rest, validation = splits.carve(train, 0, stratified=False)
    assert rest is train
    assert validation.image.shape == (0, 28, 28, 1)


@pytest.mark.parametrize("value", [-1, 60_000, 0.5, True, "5000", None])
def test_validation_examples_out_of_range_names_the_key_the_value_and_the_range(value):
    with pytest.raises(ConfigError, match=rf"config.data.validation_examples = {value!r}: .* from 0 to 59999"):
        splits.check(value, 60_000)


@pytest.mark.parametrize(("label", "fits"), [(0, False), (1, True), (3, True), (4, False)])
def test_labels_are_counted_from_the_first_one(label, fits):
    labels = np.array([1, label, 2])
    if fits:
        content.check_labels(labels, 3, where="here", first=1)
    else:
        with pytest.raises(DataError, match=f"here: label 1 is {label}, expected 1 to 3"):
            content.check_labels(labels, 3, where="here", first=1)
