"""EMNIST: an archive of files with mirrored pictures, labels from 1 on, and a configuration of TFDS."""

import gzip
import struct
import zipfile

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.core.errors import DataError, DataMissing
from hwr_jax.data import content, download, find
from hwr_jax.data.checksums import Registered, registered
from hwr_jax.data.sources import BY_CLASS, BY_MERGE, SOURCES

LETTERS = SOURCES["emnist/letters"]._replace(train_examples=52, test_examples=26)
GENERATOR = np.random.default_rng(0)
IMAGE = {
    "train": GENERATOR.integers(0, 256, (52, 28, 28), np.uint8),
    "test": GENERATOR.integers(0, 256, (26, 28, 28), np.uint8),
}
LABEL = {"train": np.arange(52, dtype=np.uint8) % 26, "test": np.arange(26, dtype=np.uint8)}


def idx(array):
    return gzip.compress(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def members(first_label=1):
    """The four files as EMNIST has them: pictures mirrored at the diagonal."""
    for split in ("train", "test"):
        yield f"emnist-letters-{split}-images-idx3-ubyte.gz", idx(np.ascontiguousarray(IMAGE[split].swapaxes(1, 2)))
        yield f"emnist-letters-{split}-labels-idx1-ubyte.gz", idx(LABEL[split] + np.uint8(first_label))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The manual folder with a small gzip.zip, and load() for it."""
    (tmp_path / "manual").mkdir()
    with zipfile.ZipFile(tmp_path / "manual" / "gzip.zip", "w") as archive:
        for name, raw in members():
            archive.writestr(f"gzip/{name}", raw)
    path = tmp_path / "manual" / "gzip.zip"
    facts = Registered("http://127.0.0.1:9/gzip.zip", path.stat().st_size, download.sha256_of(path))
    monkeypatch.setitem(SOURCES, "emnist/letters", LETTERS)
    monkeypatch.setattr(find, "registered", lambda name: {"gzip.zip": facts})
    monkeypatch.setenv("HWR_EMNIST_DIR", str(path.parent))

    def load(**places):
        places = {"cache_dir": tmp_path / "cache", "data_dir": tmp_path / "tfds", **places}
        return data.load("emnist/letters", validation_examples=0, log=lambda line: None, **places)

    return path, load


def check(dataset):
    for split in ("train", "test"):
        arrays = getattr(dataset, split)
        np.testing.assert_array_equal(arrays.image[..., 0], IMAGE[split])
        np.testing.assert_array_equal(arrays.label, LABEL[split])
    assert dataset.classes == tuple("abcdefghijklmnopqrstuvwxyz")


def test_the_archive_gives_upright_pictures_and_labels_from_0_on_and_so_does_what_is_left_of_it(home, tmp_path):
    path, load = home
    first = load()
    check(first)
    path.unlink()
    check(load())  # the cache
    check(load(cache_dir=tmp_path / "other"))  # the folder of TFDS
    assert (tmp_path / "tfds" / "emnist" / "letters" / "3.1.0" / "dataset_info.json").is_file()


def test_the_folder_of_tfds_holds_what_stock_tfds_would_have_written(home, tmp_path):
    import tensorflow_datasets as tfds

    home[1]()
    source = tfds.builder(
        "emnist/letters", data_dir=str(tmp_path / "tfds"), file_format="array_record"
    ).as_data_source()
    found = {int(example["label"]): example["image"][..., 0] for example in source["test"]}
    assert sorted(found) == list(range(1, 27))
    np.testing.assert_array_equal(found[1], IMAGE["test"][0].T)


def test_loose_files_are_read_too(home):
    path, load = home
    for name, raw in members():
        (path.parent / name).write_bytes(raw)
    path.unlink()
    check(load())


def test_a_changed_archive_a_missing_member_and_a_wrong_label_are_reported(home, monkeypatch):
    path, load = home
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"gzip.zip has SHA-256 \w+, expected"):
        load()
    monkeypatch.setattr(find, "registered", lambda name: {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gzip/readme", b"")
    with pytest.raises(DataError, match="does not hold gzip/emnist-letters-train-images"):
        load()
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in members(first_label=2):
            archive.writestr(f"gzip/{name}", raw)
    with pytest.raises(DataError, match="label 25 is 27, expected 1 to 26"):
        load()


def test_without_it_every_place_that_was_tried_is_named(home):
    path, load = home
    path.unlink()
    with pytest.raises(DataMissing) as caught:
        load()
    assert any("no gzip.zip" in place for place in caught.value.tried)
    assert any("download http://127.0.0.1:9/gzip.zip" in place for place in caught.value.tried)


def test_sizes_versions_and_classes_are_those_that_tfds_registers():
    import tensorflow_datasets as tfds

    stock = tfds.builder_cls("emnist")
    parts = {part.name: part for part in stock.BUILDER_CONFIGS}
    assert {name.partition("/")[2] for name in SOURCES if name.startswith("emnist/")} == set(parts)
    for name, part in parts.items():
        source = SOURCES[f"emnist/{name}"]
        assert (source.train_examples, source.test_examples) == (part.train_examples, part.test_examples)
        assert source.version == str(stock.VERSION)
        # Letters has 26 classes, a/A to z/Z, labelled 1 to 26; 37 is what TFDS registers.
        assert len(source.classes) == (26 if name == "letters" else part.class_number)
    assert registered("emnist/letters")["gzip.zip"].size == 561_753_746


def test_merged_classes_are_the_letters_of_which_both_cases_look_alike():
    merged = {c for c in BY_CLASS if c not in BY_MERGE}
    assert merged == set("cijklmopsuvwxyz")
    assert len(BY_MERGE) == 47
    digest = content.digest("emnist/letters", content.Content(*(content.Arrays(IMAGE[s], LABEL[s]) for s in IMAGE)))
    assert len(digest) == 64
