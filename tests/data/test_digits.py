"""The data set `digits`: its sizes, its conventions, its bytes."""

from __future__ import annotations

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.data import cache, digits
from hwr_jax.data.sources import SOURCES


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The digits, and the folder of their cache."""
    folder = tmp_path_factory.mktemp("cache")
    return data.load("digits", cache_dir=folder), folder


def test_digits_are_1097_200_and_500_examples_stratified(made):
    dataset, _ = made
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [len(part.label) for part in parts] == [1097, 200, 500]
    share = np.bincount(np.concatenate([part.label for part in parts]), minlength=10) / 1797
    for part in parts:
        assert np.abs(np.bincount(part.label, minlength=10) - share * len(part.label)).max() < 1.5


def test_digits_follow_the_conventions_of_mnist(made):
    image = made[0].train.image
    assert image.dtype == np.uint8
    assert image.shape[1:] == (28, 28, 1)
    assert (image.max(axis=(1, 2, 3)) == 255).all()
    for one in image[..., 0].astype(float):
        rows, columns = np.nonzero(one)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        centre = [(one.sum(axis=axis) * np.arange(28)).sum() / one.sum() for axis in (0, 1)]
        np.testing.assert_allclose(centre, 14, atol=1.5)
    assert 0.11 < made[0].mean < 0.15, "MNIST's is 0.13"
    assert 0.28 < made[0].std < 0.34, "MNIST's is 0.31"


def test_digits_are_the_same_bytes_as_ever(made):
    pinned = "c651627cd6c16a4a1efdbe51228701f6bd3ce8f9304c55c47f4f7482af62ee94"
    assert made[0].sha256 == pinned, (
        "if this is meant, raise the version in sources.py: caches of the old one lie around"
    )


def test_digits_need_no_network_and_no_tfds_and_are_cached(made, monkeypatch):
    dataset, folder = made
    monkeypatch.setattr(digits, "make", None)
    again = data.load("digits", cache_dir=folder)
    assert again.sha256 == dataset.sha256
    assert [path.name for path in folder.iterdir()] == ["datasets"]


def test_a_damaged_cache_of_digits_is_made_again(made):
    dataset, folder = made
    (cache.folder(folder, SOURCES["digits"]) / "test_image.npy").unlink()
    lines = []
    assert data.load("digits", cache_dir=folder, log=lines.append).sha256 == dataset.sha256
    assert len(lines) == 1
