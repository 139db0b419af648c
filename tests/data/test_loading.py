"""`load`: the order of the places, what each leaves behind, what it logs, and that every place gives the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.core.errors import ConfigError, DataError, DataMissing
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import content, download, find, loading, tfds_reader, tfds_writer
from hwr_jax.data.checksums import Registered
from hwr_jax.data.content import Content
from hwr_jax.data.sources import DIGITS, IDX_FILES, SOURCES, Source

FIXTURE = Path(__file__).parents[1] / "fixtures" / "tfds"
SMALL = Source("mnist", "3.0.1", DIGITS, 40, 20, 5, None)


def expected() -> Content:
    with np.load(FIXTURE / "expected.npz") as file:
        return Content(*(Arrays(file[f"{s}_image"], file[f"{s}_label"].astype(np.int32)) for s in ("train", "test")))


def write_idx(folder: Path) -> Path:
    """The small content as gzipped original files."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, array in content.arrays(expected()):
        plain = array[..., 0] if array.ndim == 4 else array.astype(np.uint8)
        head = struct.pack(f">BBBB{plain.ndim}I", 0, 0, 8, plain.ndim, *plain.shape)
        (folder / IDX_FILES[key]).write_bytes(gzip.compress(head + plain.tobytes()))
    return folder


class Home:
    """A machine with nothing on it: empty folders, no variables, no network, and a small MNIST."""

    def __init__(self, folder: Path):
        self.cache, self.tfds, self.manual = folder / "cache", folder / "tfds", folder / "manual"
        self.lines: list[str] = []

    def load(self, **arguments) -> data.Dataset:
        places = {"cache_dir": self.cache, "data_dir": self.tfds, "log": self.lines.append}
        return data.load("mnist", **(places | arguments))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "mnist", SMALL._replace(sha256=content.digest("mnist", expected())))
    monkeypatch.setattr(find, "registered", lambda name: {})  # the small files have other checksums than the real ones
    for name in ("HWR_MNIST_DIR", "HWR_CACHE_DIR", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path)


def assert_small_mnist(dataset) -> None:
    assert dataset.sha256 == content.digest("mnist", expected())
    assert (len(dataset.train.label), len(dataset.validation.label)) == (35, 5)
    np.testing.assert_array_equal(dataset.test.image, expected().test.image)
    np.testing.assert_array_equal(dataset.test.label, expected().test.label)


def test_nothing_anywhere_lists_every_place_with_its_reason(home, monkeypatch):
    monkeypatch.setattr(find, "registered", lambda name: {IDX_FILES["train_image"]: "a file"})

    def no_network(name, files, folder, *, log):
        raise DataMissing(name, ["download http://x: no connection (Name or service not known)"])

    monkeypatch.setattr(download, "fetch", no_network)
    with pytest.raises(DataMissing, match="the data set mnist was not found; tried: cache") as caught:
        home.load()
    assert caught.value.tried == (
        f"cache {home.cache}/datasets/mnist-3.0.1: not there",
        f"TFDS folder {home.tfds}/mnist/3.0.1: not there",
        "manual folder HWR_MNIST_DIR: not set",
        "download http://x: no connection (Name or service not known)",
    )
    assert home.lines == []


def test_a_tfds_folder_is_read_and_left_as_it_is(home):
    shutil.copytree(FIXTURE, home.tfds)
    before = sorted(path.name for path in home.tfds.rglob("*"))
    assert_small_mnist(home.load())
    assert sorted(path.name for path in home.tfds.rglob("*")) == before
    assert not home.manual.exists()


def test_the_tfds_variable_is_followed(home, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(FIXTURE))
    assert_small_mnist(home.load(data_dir=None))


def test_a_manual_folder_is_read_and_left_in_tfds_and_in_the_cache(home):
    assert_small_mnist(home.load(manual_dir=write_idx(home.manual)))
    assert home.lines == [f"Preparing mnist for TFDS in {home.tfds} (once)"]
    got = tfds_reader.read(home.tfds, SMALL, log=home.lines.append)
    np.testing.assert_array_equal(got.train.image, expected().train.image)
    shutil.rmtree(home.manual)
    shutil.rmtree(home.tfds)
    assert_small_mnist(home.load())


def test_the_manual_variable_is_followed(home, monkeypatch):
    monkeypatch.setenv("HWR_MNIST_DIR", str(write_idx(home.manual)))
    assert_small_mnist(home.load())


@pytest.mark.parametrize(("name", "variable"), [("mnist", "HWR_MNIST_DIR"), ("emnist/letters", "HWR_EMNIST_DIR")])
def test_each_data_set_has_its_variable(name, variable):
    assert find.variable(SMALL._replace(name=name)) == variable


def test_a_manual_folder_that_was_given_must_be_complete(home):
    (write_idx(home.manual) / IDX_FILES["test_label"]).unlink()
    with pytest.raises(DataError, match=f"the manual folder {home.manual} has no {IDX_FILES['test_label']}") as caught:
        home.load(manual_dir=home.manual)
    assert not isinstance(caught.value, DataMissing)


def test_a_manual_folder_of_the_variable_may_be_incomplete_and_is_listed(home, monkeypatch):
    monkeypatch.setenv("HWR_MNIST_DIR", str(home.manual))
    with pytest.raises(DataMissing, match="was not found") as caught:
        home.load()
    assert f"manual folder {home.manual} (HWR_MNIST_DIR): no {IDX_FILES['train_image']}" in caught.value.tried


def test_files_that_are_not_gzipped_are_verified_by_the_content(home):
    write_idx(home.manual)
    for path in [*home.manual.iterdir()]:
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert_small_mnist(home.load(manual_dir=home.manual))


def test_files_that_are_not_gzipped_are_refused_where_the_content_is_not_registered(home, monkeypatch):
    monkeypatch.setitem(SOURCES, "mnist", SMALL)
    write_idx(home.manual)
    path = home.manual / IDX_FILES["test_label"]
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    with pytest.raises(DataError, match=f"{home.manual}: files of mnist can be verified only as .gz"):
        home.load(manual_dir=home.manual)


def test_a_manual_file_with_other_content_is_refused_and_nothing_is_left(home):
    write_idx(home.manual)
    path = home.manual / IDX_FILES["test_label"]
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[-1] = (plain[-1] + 1) % 10
    path.write_bytes(gzip.compress(bytes(plain)))
    with pytest.raises(DataError, match=f"{home.manual}: the content of mnist has SHA-256"):
        home.load(manual_dir=home.manual)
    assert not home.tfds.exists()
    assert not home.cache.exists()


def test_the_download_is_the_last_place_and_is_left_in_tfds_and_in_the_cache(home, monkeypatch):
    server = write_idx(home.manual)
    files = {}
    for path in server.iterdir():
        raw = path.read_bytes()
        files[path.name] = Registered(f"http://data.invalid/{path.name}", len(raw), hashlib.sha256(raw).hexdigest())

    def fetch(name, files, folder, *, log):
        shutil.copytree(server, folder)
        return {key: folder / filename for key, filename in IDX_FILES.items()}

    monkeypatch.setattr(find, "registered", lambda name: files)
    monkeypatch.setattr(download, "fetch", fetch)
    assert_small_mnist(home.load())
    assert (home.cache / "downloads" / "mnist" / IDX_FILES["train_image"]).exists()
    assert tfds_reader.folder(home.tfds, SMALL).exists()


def test_a_folder_that_was_named_is_read_whatever_the_cache_holds(home, tmp_path):
    home.load(manual_dir=write_idx(home.manual))
    with pytest.raises(DataError, match=f"the manual folder {tmp_path}/none is not a folder with train-images"):
        home.load(manual_dir=tmp_path / "none")
    (tmp_path / "mine" / "3").mkdir(parents=True)
    with pytest.raises(DataError, match="has no train-images.*: for your own pictures use config.data.name=folder"):
        home.load(manual_dir=tmp_path / "mine")
    other = write_idx(tmp_path / "other")
    with gzip.open(other / IDX_FILES["test_label"], "ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="holds 24 bytes of data, expected 20"):
        home.load(manual_dir=other)
    broken = shutil.copytree(home.tfds, tmp_path / "tfds2")
    for path in tfds_reader.folder(broken, SMALL).glob("*.array_record*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="tfds2"):
        home.load(data_dir=broken)


def test_the_cache_spares_reading_the_files_that_it_was_made_of(home, monkeypatch):
    manual = write_idx(home.manual)
    home.load(manual_dir=manual)
    home.load(data_dir=home.tfds)
    for name in ("_manual", "_read"):
        monkeypatch.setattr(find, name, lambda *arguments: pytest.fail("the files were read again"))
    monkeypatch.setattr(tfds_reader, "read", lambda *arguments, **more: pytest.fail("the folder was read again"))
    assert_small_mnist(home.load(manual_dir=manual))
    assert_small_mnist(home.load(data_dir=home.tfds))


def test_a_tfds_folder_that_was_named_gets_what_the_cache_has(home, tmp_path):
    home.load(manual_dir=write_idx(home.manual))
    assert_small_mnist(home.load(data_dir=tmp_path / "new"))
    assert tfds_reader.folder(tmp_path / "new", SMALL).is_dir()


def test_digits_have_no_files_to_name(home):
    with pytest.raises(ConfigError, match="manual_dir=x has no effect: digits comes with scikit-learn"):
        data.load("digits", manual_dir="x", cache_dir=home.cache)


def unpacked(folder: Path, form: str) -> Path:
    """The small content as others leave it, and the place that a user would name."""
    write_idx(folder)
    if form == "npz":
        small = {f"{'x' if f == 'image' else 'y'}_{s}": getattr(getattr(expected(), s), f) for s in ("train", "test")
                 for f in ("image", "label")}  # fmt: skip
        small = {k: v[..., 0] if v.ndim == 4 else v.astype(np.uint8) for k, v in small.items()}
        shutil.rmtree(folder)
        folder.mkdir()
        np.savez_compressed(folder / "mnist.npz", **small)
        return folder / "mnist.npz"
    for path in [*folder.iterdir()]:
        plain, name = gzip.decompress(path.read_bytes()), path.name.removesuffix(".gz")
        path.unlink()
        name = name.replace("-idx", ".idx") if form in ("dots", "folders") else name
        place = {"torchvision": folder / "MNIST" / "raw" / name, "folders": folder / name / name}.get(
            form, folder / name
        )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(plain)
    return folder


@pytest.mark.parametrize("form", ["plain", "dots", "torchvision", "folders", "npz"])
@pytest.mark.parametrize("by", ["argument", "variable"])
def test_other_layouts_of_the_original_files_are_the_same_data_set(home, monkeypatch, form, by):
    place = unpacked(home.manual, form)
    if by == "argument":
        assert_small_mnist(home.load(manual_dir=place))
    else:
        monkeypatch.setenv("HWR_MNIST_DIR", str(place))
        assert_small_mnist(home.load())
    assert not any("unverified" in line for line in home.lines)


def test_files_without_a_registered_checksum_are_used_with_a_word_each_time(home, monkeypatch):
    monkeypatch.setitem(SOURCES, "mnist", SMALL)
    for _ in range(2):
        home.lines.clear()
        home.load(manual_dir=write_idx(home.manual))
        assert home.lines[0].startswith(f"mnist in {home.manual} is used unverified: no checksum is registered")
    assert not home.tfds.exists()
    with pytest.raises(DataMissing, match="was not found"):  # what is unverified is not in the cache for others
        home.load()


def test_the_cache_comes_first(home):
    home.load(manual_dir=write_idx(home.manual))
    home.lines.clear()
    for folder in (home.manual, home.tfds):
        shutil.rmtree(folder)
    dataset = home.load(data_dir=None)
    assert_small_mnist(dataset)
    assert isinstance(dataset.test.image, np.memmap)
    assert home.lines == []


def test_a_damaged_cache_is_reported_in_one_line_and_built_again(home):
    home.load(manual_dir=write_idx(home.manual))
    home.lines.clear()
    damaged = home.cache / "datasets" / "mnist-3.0.1" / "train_image.npy"
    raw = bytearray(damaged.read_bytes())
    raw[5000] ^= 1
    damaged.write_bytes(raw)
    assert_small_mnist(home.load())
    assert [line.startswith("The cache is damaged and is built again: ") for line in home.lines] == [True, False, False]
    assert "train_image.npy" in home.lines[0]
    assert [path.name for path in damaged.parent.parent.iterdir()] == ["mnist-3.0.1"]
    home.lines.clear()
    assert_small_mnist(home.load())
    assert home.lines == []


def test_a_damaged_tfds_folder_is_an_error_not_a_reason_to_look_elsewhere(home, monkeypatch):
    monkeypatch.setenv("HWR_MNIST_DIR", str(write_idx(home.manual)))
    shutil.copytree(FIXTURE, home.tfds)
    os.truncate(tfds_reader.folder(home.tfds, SMALL) / "mnist-test.tfrecord-00000-of-00001", 6000)
    with pytest.raises(DataError, match="mnist-test.tfrecord-00000-of-00001, record"):
        home.load()


def test_a_tfds_folder_that_cannot_be_written_is_reported_and_the_cache_filled(home):
    home.tfds.write_text("a file where the folder should be")
    assert_small_mnist(home.load(manual_dir=write_idx(home.manual)))
    assert home.lines[-1].startswith(f"Not left in the TFDS folder {home.tfds}/mnist/3.0.1: ")
    home.lines.clear()
    assert_small_mnist(home.load())


def test_a_tfds_folder_in_another_format_is_left_as_it_is(home):
    folder = tfds_reader.folder(home.tfds, SMALL)
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(
        '{"fileFormat": "riegeli", "splits": [{"name": "train", "shardLengths": ["1"]}, '
        '{"name": "test", "shardLengths": ["1"]}]}'
    )
    assert_small_mnist(home.load(manual_dir=write_idx(home.manual)))
    assert home.lines == [f"The TFDS folder {folder} cannot be read here and is left as it is."]


def test_without_array_record_the_original_files_feed_the_cache(home, monkeypatch):
    monkeypatch.setattr(tfds_writer, "can_write", lambda: False)
    assert_small_mnist(home.load(manual_dir=write_idx(home.manual)))
    assert not home.tfds.exists()
    assert "ArrayRecord cannot be written on this machine" in home.lines[0]


def test_a_data_set_that_tensorflow_datasets_does_not_know_feeds_the_cache(home, monkeypatch):
    name = "digits_of_ours"
    own = SMALL._replace(name=name, sha256=content.digest(name, expected()))
    monkeypatch.setitem(SOURCES, name, own)
    monkeypatch.setattr(loading, "DATASETS", (*loading.DATASETS, name))
    places = {"cache_dir": home.cache, "data_dir": home.tfds, "log": home.lines.append}
    dataset = loading.load(name, manual_dir=write_idx(home.manual), **places)
    np.testing.assert_array_equal(dataset.test.image, expected().test.image)
    assert home.lines == [f"Not left in the TFDS folder: tensorflow-datasets has no builder of {name}."]
    assert not home.tfds.exists()


def test_where_the_cache_folder_cannot_be_written_the_data_stays_in_memory(home):
    home.cache.write_text("a file where the folder should be")
    assert_small_mnist(home.load(data_dir=FIXTURE))
    assert home.lines[-1].startswith(
        f"Nothing is kept for the next time: the cache folder {home.cache}/datasets cannot be written"
    )
    assert home.cache.read_text() == "a file where the folder should be"


def test_every_source_gives_the_same_bytes(home, tmp_path):
    by_tfrecord = home.load(data_dir=FIXTURE)
    other = Home(tmp_path / "other")
    by_idx = other.load(manual_dir=write_idx(home.manual))
    shutil.rmtree(other.cache)
    by_array_record = other.load()
    for split in ("train", "validation", "test"):
        for field in Arrays._fields:
            first, *rest = (getattr(getattr(d, split), field) for d in (by_tfrecord, by_idx, by_array_record))
            for each in rest:
                np.testing.assert_array_equal(each, first)
    moments = [(each.mean, each.std) for each in (by_tfrecord, by_idx, by_array_record)]
    assert moments[0] == moments[1] == moments[2]
    assert by_tfrecord.sha256 == by_idx.sha256 == by_array_record.sha256


def test_validation_comes_from_train_and_the_moments_are_those_of_the_rest(home):
    dataset = home.load(data_dir=FIXTURE, validation_examples=12)
    both = np.concatenate([dataset.train.image, dataset.validation.image])
    assert sorted(map(bytes, both)) == sorted(map(bytes, expected().train.image))
    assert dataset.mean == pytest.approx((dataset.train.image / 255).mean(), rel=1e-12)
    assert dataset.std == pytest.approx((dataset.train.image / 255).std(), rel=1e-12)
    whole = home.load(validation_examples=0)
    np.testing.assert_array_equal(whole.train.image, expected().train.image)


def test_too_many_validation_examples_are_refused_before_anything_is_read(home):
    with pytest.raises(ConfigError, match="config.data.validation_examples = 40: allowed .* from 0 to 39"):
        home.load(validation_examples=40)
    assert not home.cache.exists()


def test_an_unknown_name_lists_the_allowed_ones():
    with pytest.raises(ConfigError, match="config.data.name = 'minst': allowed are mnist, .*digits"):
        data.load("minst")


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, hwr_jax.data; print([m for m in ('jax', 'tensorflow_datasets', 'sklearn', 'requests', 'PIL', "
    code += "'rich', 'array_record') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"


def of_classes(*classes):
    part = Arrays(np.zeros((len(classes), 28, 28, 1), np.uint8), np.arange(len(classes), dtype=np.int32))
    return Dataset("mine", "1", "0" * 64, part, part, part, classes, 0.1, 0.3)


def test_classes_are_matched_by_name_and_words_by_digit():
    lines = []
    found = data.with_classes(of_classes("one", "0"), ("0", "1", "none"), log=lines.append)
    assert (found.classes, found.named) == (("0", "1", "none"), ("one", "0"))
    assert [part.label.tolist() for part in (found.train, found.validation, found.test)] == [[1, 0]] * 3
    assert lines == ["mine: one is 1"]
    lines.clear()
    assert data.with_classes(of_classes("1", "0"), ("0", "1"), log=lines.append).train.label.tolist() == [1, 0]
    assert lines == []


def test_characters_are_matched_by_name_and_what_lies_behind_a_string_stays():
    mine = of_classes("b", "a")
    part = Arrays(mine.train.image, np.array([[0, 1], [1, -1]], np.int32))
    found = data.with_classes(mine._replace(train=part, validation=part, test=part), ("a", "b", "c"))
    assert found.test.label.tolist() == [[1, 0], [0, -1]]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("0", "a"), "mine has the class 'a', which the model does not know (it knows 0, 1): rename it"),
        (("a", "b"), "mine has the classes 'a', 'b', which the model"),
        (tuple("abcde"), "mine has the classes 'a', 'b', 'c', 'd', 'e', which"),
        (tuple("abcdef"), "mine has the classes 'a', 'b', 'c', 'd', 'e', ..., which"),
        (("0", "zero"), "mine has two names for one class of the model (it knows 0, 1): rename it"),
    ],
)
def test_classes_that_a_model_does_not_know_are_named(classes, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        data.with_classes(of_classes(*classes), ("0", "1"), hint="rename it")
