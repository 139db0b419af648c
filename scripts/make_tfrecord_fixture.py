"""Makes the TFRecord fixture of tests/data/test_tfds_reader.py with stock TFDS and TensorFlow.

Run it once, in a throwaway environment, because the project itself does not use TensorFlow:

    uv venv -p 3.11 tfenv && uv pip install -p tfenv tensorflow-cpu tensorflow-datasets importlib_resources
    HWR_MNIST_DIR=<folder with the original files> tfenv/bin/python scripts/make_tfrecord_fixture.py

It runs the stock `mnist` builder on the first 40 training and 20 test examples, and puts what TFDS writes into
tests/fixtures/tfds/mnist/3.0.1/ and the same examples, in their original order, into tests/fixtures/tfds/expected.npz.
"""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification import mnist

TRAIN_EXAMPLES, TEST_EXAMPLES = 40, 20
FIXTURE = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "tfds"
FILES = {
    "train_image": ("train-images-idx3-ubyte", TRAIN_EXAMPLES, 16, 28 * 28),
    "train_label": ("train-labels-idx1-ubyte", TRAIN_EXAMPLES, 8, 1),
    "test_image": ("t10k-images-idx3-ubyte", TEST_EXAMPLES, 16, 28 * 28),
    "test_label": ("t10k-labels-idx1-ubyte", TEST_EXAMPLES, 8, 1),
}


def cut(original: Path, folder: Path) -> dict[str, np.ndarray]:
    """Writes the first examples of the original files as small IDX files, and returns them as arrays."""
    arrays = {}
    for key, (name, examples, header_bytes, example_bytes) in FILES.items():
        raw = gzip.decompress((original / f"{name}.gz").read_bytes())
        body = raw[header_bytes : header_bytes + examples * example_bytes]
        (folder / name).write_bytes(raw[:4] + struct.pack(">I", examples) + raw[8:header_bytes] + body)
        shape = (examples, 28, 28, 1) if example_bytes > 1 else (examples,)
        arrays[key] = np.frombuffer(body, np.uint8).reshape(shape)
    return arrays


def main() -> None:
    """Writes the fixture."""
    shutil.rmtree(FIXTURE / "mnist", ignore_errors=True)
    FIXTURE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        arrays = cut(Path(os.environ["HWR_MNIST_DIR"]), Path(folder))
        mnist._TRAIN_EXAMPLES, mnist._TEST_EXAMPLES = TRAIN_EXAMPLES, TEST_EXAMPLES
        # instead of downloading, hand the small files to the builder, under the names that it asks for
        tfds.download.DownloadManager.download_and_extract = lambda self, urls: {
            key: str(Path(folder) / Path(url).stem) for key, url in urls.items()
        }
        mnist.MNIST(data_dir=str(FIXTURE)).download_and_prepare()
    shutil.rmtree(FIXTURE / "downloads", ignore_errors=True)
    np.savez_compressed(FIXTURE / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
