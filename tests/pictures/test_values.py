"""IDX files and NumPy archives of anyone's pictures: for prediction, and as a data set."""

import gzip
import struct

import numpy as np
import pytest

from hwr_jax.core import archives, idx
from hwr_jax.core.errors import DataError
from hwr_jax.pictures import inputs

TYPES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def encode(array):
    kind = TYPES[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def pictures(count=3):
    grey = np.zeros((count, 28, 28), np.uint8)
    for i in range(count):
        grey[i, 6:22, 10 + i : 13 + i] = 255
    return grey


def read(path):
    return inputs.read([str(path)], height_px=28, width_px=28, lines=False)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "x.idx3-ubyte", "a-images.idx3-ubyte.gz"])
def test_every_picture_of_an_idx_file_is_read(tmp_path, name):
    raw = encode(pictures())
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    found = read(tmp_path / name)
    np.testing.assert_array_equal(found.images[..., 0], pictures())
    assert found.names[2] == f"{tmp_path / name}, picture 3"


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
def test_every_type_of_an_idx_file_is_parsed(tmp_path, dtype):
    (tmp_path / "x.idx3-ubyte").write_bytes(encode(pictures().astype(dtype)))
    np.testing.assert_array_equal(read(tmp_path / "x.idx3-ubyte").images[..., 0], pictures())


def test_labels_in_place_of_pictures_are_refused(tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(encode(np.arange(5, dtype=np.uint8)))
    with pytest.raises(DataError, match=r"has shape \[5\], expected pictures"):
        read(tmp_path / "t10k-labels-idx1-ubyte")


def test_an_archive_is_read_with_a_word_about_its_labels_and_its_scale(tmp_path):
    np.savez(tmp_path / "a.npz", x_test=pictures() / 255.0, y_test=np.arange(3))
    found = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.images[..., 0], pictures())
    assert any("labels beside it are ignored" in note for note in found.notes)
    assert any("on the scale 0 to 1" in note for note in found.notes)


def test_every_array_of_an_archive_is_a_split_or_named_as_left_out(tmp_path):
    one = {"x_train": pictures(), "y_train": np.arange(3), "validation_images": pictures(), "dev_images": pictures()}
    np.savez(tmp_path / "a.npz", **one, validation_labels=np.arange(3), writer=np.arange(3))
    notes = []
    found = [*inputs.examples(tmp_path / "a.npz", inputs.PLAIN, notes, labelled=True)]
    assert [split for _, split, _, _ in found] == ["train"] * 3 + ["validation"] * 3
    assert notes == [f"{tmp_path / 'a.npz'}: left out the arrays dev_images, writer"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([b"a", b"b", b"c"]), "array labels: labels of type .S1, expected numbers or text"),
        (np.array([0, np.nan, 2]), "array labels: a label is missing or not a number"),
    ],
)
def test_labels_without_a_plain_name_are_refused_where_labels_are_needed(tmp_path, labels, words):
    np.savez(tmp_path / "a.npz", images=pictures(), labels=labels)
    assert len(read(tmp_path / "a.npz").names) == 3
    with pytest.raises(DataError, match=words):
        [*inputs.examples(tmp_path / "a.npz", inputs.PLAIN, [], labelled=True)]


def test_an_archive_of_other_arrays_objects_or_too_many_bytes_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(DataError, match="has no pictures: expected arrays x_train.*; it has weights"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", images=np.array([{}, {}], object), labels=np.arange(2))
    with pytest.raises(DataError, match="b.npz is damaged: Object arrays cannot be loaded"):
        read(tmp_path / "b.npz")
    np.savez_compressed(tmp_path / "c.npz", images=np.zeros((1000, 28, 28)))
    with pytest.raises(DataError, match="holds more than the 100,000 bytes allowed"):
        archives.arrays(tmp_path / "c.npz", ["images"], limit=100_000)
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="d.npz is not a whole .npz archive"):
        read(tmp_path / "d.npz")


def test_a_file_without_a_picture_is_refused_and_an_empty_split_is_none(tmp_path):
    (tmp_path / "x.idx3-ubyte").write_bytes(encode(pictures()[:0]))
    np.savez(tmp_path / "a.npz", images=pictures()[:0])
    np.savez(tmp_path / "b.npz", x_train=np.zeros((0, 784)), x_test=np.zeros((0, 784)))
    for name in ("x.idx3-ubyte", "a.npz", "b.npz"):
        with pytest.raises(DataError, match=f"{name} holds no picture"):
            read(tmp_path / name)
    np.savez(tmp_path / "c.npz", x_train=pictures(), x_test=pictures()[:0])
    assert len(read(tmp_path / "c.npz").names) == 3


def test_a_gzip_bomb_is_given_up_at_its_limit(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000)))
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="x.gz holds more than the 1,000,000 bytes allowed"):
        idx.load(path, 1_000_000)
