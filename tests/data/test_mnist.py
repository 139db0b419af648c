"""Real MNIST, where `HWR_MNIST_DIR` names the folder of its original files."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.data.sources import SOURCES

pytestmark = pytest.mark.mnist


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Real MNIST from `HWR_MNIST_DIR`, and its cache folder; TFDS is kept out to save its 13 seconds."""
    if not os.environ.get("HWR_MNIST_DIR"):
        pytest.skip("HWR_MNIST_DIR is not set")
    folder = tmp_path_factory.mktemp("mnist")
    (folder / "tfds").write_text("a file, so that nothing is written here")
    return data.load("mnist", cache_dir=folder, data_dir=folder / "tfds"), folder


def test_real_mnist_has_the_registered_content(real):
    dataset, _ = real
    assert dataset.sha256 == SOURCES["mnist"].sha256
    assert [len(part.label) for part in (dataset.train, dataset.validation, dataset.test)] == [55_000, 5_000, 10_000]
    assert dataset.test.label[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    counts = np.bincount(np.concatenate([dataset.train.label, dataset.validation.label]))
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_real_mnist_has_the_known_moments(real):
    _, folder = real
    whole = data.load("mnist", cache_dir=folder, validation_examples=0)
    assert (round(whole.mean, 4), round(whole.std, 4)) == (0.1307, 0.3081)


def test_real_mnist_loads_quickly_the_second_time(real):
    start = time.perf_counter()
    data.load("mnist", cache_dir=real[1])
    print(f"second load: {time.perf_counter() - start:.2f} s")
