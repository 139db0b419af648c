"""The IDX parser: what it reads, and the sentence it says for each kind of damage."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hwr_jax.core.errors import DataError
from hwr_jax.core.idx import load
from hwr_jax.data import checksums
from hwr_jax.data.checksums import Registered, registered
from hwr_jax.data.formats import idx
from hwr_jax.data.sources import DIGITS, IDX_FILES, SOURCES, Source

TINY = Source("mnist", "3.0.1", DIGITS, 3, 2, 1, None)


def encode(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, **changed: np.ndarray) -> dict[str, Path]:
    """Four gzipped files of TINY's sizes, some of them with other arrays."""
    random = np.random.default_rng(0)
    plain = {
        "train_image": random.integers(0, 256, (3, 28, 28), np.uint8),
        "train_label": np.array([9, 0, 4], np.uint8),
        "test_image": random.integers(0, 256, (2, 28, 28), np.uint8),
        "test_label": np.array([1, 2], np.uint8),
    } | changed
    paths = {key: folder / name for key, name in IDX_FILES.items()}
    for key, path in paths.items():
        path.write_bytes(gzip.compress(encode(plain[key])))
    return paths


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)))
def test_what_is_encoded_is_parsed_to_the_same_array(array):
    np.testing.assert_array_equal(idx.parse(encode(array), Path("x")), array)


@pytest.mark.parametrize(
    ("code", "element"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_every_type_of_the_format_is_parsed_where_it_is_allowed(code, element):
    array = np.array([[1, 2, 3], [4, 5, 100]]).astype(element)
    raw = struct.pack(">BBBB2I", 0, 0, code, 2, 2, 3) + array.tobytes()
    found = idx.parse(raw, Path("x"), types=(code, 7))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    with pytest.raises(DataError, match=f"x holds IDX type 0x{code:02x}, expected 0x07, 0x06"):
        idx.parse(raw, Path("x"), types=(7, 6))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=64))
def test_any_bytes_are_parsed_or_refused_with_the_file_named(raw):
    try:
        array = idx.parse(raw, Path("some-file"))
    except DataError as error:
        assert str(error).startswith("some-file ")
    else:
        assert encode(array) == raw


def test_a_file_of_as_many_bytes_as_are_allowed_is_read(tmp_path):
    path = tmp_path / "some-file"
    for raw in (encode(np.arange(9, dtype=np.uint8)), gzip.compress(encode(np.zeros(900, np.uint8)))):
        path.write_bytes(raw)
        plain = gzip.decompress(raw) if raw.startswith(b"\x1f") else raw
        assert load(path, len(plain)) == plain
        with pytest.raises(DataError, match=f"some-file holds more than the {len(plain) - 1:,} bytes allowed"):
            load(path, len(plain) - 1)
    with pytest.raises(DataError, match="some-file holds more than the 5 bytes allowed"):
        load(path, 5)


def test_a_header_without_axes_is_one_element():
    assert idx.parse(b"\0\0\x08\0\x07", Path("x")).tolist() == 7
    with pytest.raises(DataError, match=r"x holds 0 bytes of data, expected 1 for its shape \[\]"):
        idx.parse(b"\0\0\x08\0", Path("x"))


def test_the_four_files_become_images_and_labels(tmp_path):
    content = idx.read(write(tmp_path), TINY, {})
    assert content.train.image.shape == (3, 28, 28, 1)
    assert content.train.image.dtype == np.uint8
    assert content.train.label.tolist() == [9, 0, 4]
    assert content.test.label.dtype == np.int32


def test_files_that_are_not_gzipped_are_read_too(tmp_path):
    paths = write(tmp_path)
    expected = idx.read(paths, TINY, {})
    for path in paths.values():
        path.write_bytes(gzip.decompress(path.read_bytes()))
    for got, want in zip(idx.read(paths, TINY, {}), expected, strict=True):
        np.testing.assert_array_equal(got.image, want.image)
        np.testing.assert_array_equal(got.label, want.label)


def damage(raw: bytes, kind: str) -> bytes:
    plain = gzip.decompress(raw)
    match kind:
        case "gzip ends early":
            return raw[: len(raw) // 2]
        case "gzip is damaged":
            return raw[:40] + bytes([raw[40] ^ 0xFF]) + raw[41:]
        case "empty":
            return b""
        case "magic":
            plain = b"\x01" + plain[1:]
        case "dtype":
            plain = plain[:2] + b"\x0d" + plain[3:]
        case "header":
            plain = plain[:9]
        case "too short":
            plain = plain[:-1]
        case "too long":
            plain = plain + b"\0"
    return gzip.compress(plain)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("gzip ends early", "is not a whole gzip file"),
        ("gzip is damaged", "is not a whole gzip file"),
        ("empty", "is not an IDX file: it begins with nothing, expected 0000"),
        ("magic", "is not an IDX file: it begins with 01000803, expected 0000"),
        ("dtype", r"holds IDX type 0x0d, expected 0x08 \(uint8\)"),
        ("header", "ends within its header: 9 bytes, expected at least 16"),
        ("too short", r"holds 2351 bytes of data, expected 2352 for its shape \[3, 28, 28\]"),
        ("too long", "holds 2353 bytes of data, expected 2352"),
    ],
)
def test_damage_is_one_sentence_that_names_the_file(tmp_path, kind, sentence):
    paths = write(tmp_path)
    path = paths["train_image"]
    path.write_bytes(damage(path.read_bytes(), kind))
    with pytest.raises(DataError, match=re.escape(str(path)) + " " + sentence):
        idx.read(paths, TINY, {})


@pytest.mark.parametrize(
    ("key", "array", "sentence"),
    [
        ("train_image", np.zeros((3, 27, 28), np.uint8), r"has shape \[3, 27, 28\], expected \[3, 28, 28\]"),
        ("train_label", np.zeros((3, 1), np.uint8), r"labels.*has shape \[3, 1\], expected \[3\]"),
        ("train_label", np.zeros(2, np.uint8), "has 3 images, but .*labels.* has 2 labels"),
        ("test_label", np.array([1, 10], np.uint8), "t10k-labels.*: label 1 is 10, expected 0 to 9"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, key, array, sentence):
    with pytest.raises(DataError, match=sentence):
        idx.read(write(tmp_path, **{key: array}), TINY, {})


def test_another_number_of_images_than_expected_is_refused(tmp_path):
    with pytest.raises(DataError, match="train-images.* has 3 images, expected 60000"):
        idx.read(write(tmp_path), SOURCES["mnist"], {})


@pytest.mark.parametrize(
    ("key", "elements"), [("train_image", 3 * 784), ("train_label", 3), ("test_image", 2 * 784), ("test_label", 2)]
)
def test_of_a_file_twice_as_much_as_is_expected_is_read(tmp_path, key, elements):
    assert idx.most_bytes(key, TINY) == 2 * (elements + 16) + 100_000
    paths = write(tmp_path)
    paths[key].write_bytes(bytes(2 * (elements + 16) + 100_001))
    with pytest.raises(DataError, match=f"{paths[key].name} holds more than the .* bytes allowed"):
        idx.read(paths, TINY, {})


def test_a_gzipped_file_must_have_the_registered_size_and_checksum(tmp_path):
    paths = write(tmp_path)
    name = IDX_FILES["test_label"]
    raw = paths["test_label"].read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    idx.read(paths, TINY, {name: Registered("", len(raw), sha256)})
    with pytest.raises(DataError, match=f"{name} has {len(raw)} bytes, expected 5"):
        idx.read(paths, TINY, {name: Registered("", 5, sha256)})
    with pytest.raises(DataError, match=f"{name} has SHA-256 {sha256}, expected 00"):
        idx.read(paths, TINY, {name: Registered("", len(raw), "00")})


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_tfds_registers_every_original_file(name):
    files = registered(name)
    assert set(IDX_FILES.values()) <= files.keys()
    for filename, file in files.items():
        assert file.url.endswith("/" + filename)
        assert file.size > 0
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_a_name_that_tfds_does_not_know_has_no_registered_files():
    assert registered("no_such_set") == {}


def test_without_tfds_no_file_is_registered(monkeypatch):
    monkeypatch.setattr(checksums.importlib.util, "find_spec", lambda name: None)
    assert registered("mnist") == {}
