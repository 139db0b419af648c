"""TFDS folders: TFRecord written by stock TFDS, ArrayRecord written here, both read without TensorFlow.

The fixture tests/fixtures/tfds was made once with TensorFlow by scripts/make_tfrecord_fixture.py.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hwr_jax.core.errors import DataError, DataMissing
from hwr_jax.core.types import Arrays
from hwr_jax.data import tfds_reader, tfds_writer
from hwr_jax.data.content import Content
from hwr_jax.data.formats import png, tfrecord
from hwr_jax.data.sources import DIGITS, SOURCES, Source

FIXTURE = Path(__file__).parents[1] / "fixtures" / "tfds"
SMALL = Source("mnist", "3.0.1", DIGITS, 40, 20, 5, None)
TRAIN_SHARD = "mnist-train.tfrecord-00000-of-00001"


def silent(line: str) -> None:
    del line


def expected() -> Content:
    with np.load(FIXTURE / "expected.npz") as file:
        return Content(*(Arrays(file[f"{s}_image"], file[f"{s}_label"].astype(np.int32)) for s in ("train", "test")))


def assert_same(got: Content, want: Content) -> None:
    for split in Content._fields:
        for field in Arrays._fields:
            np.testing.assert_array_equal(getattr(getattr(got, split), field), getattr(getattr(want, split), field))


@pytest.fixture
def copy(tmp_path):
    """A copy of the fixture that may be damaged; its shard folder."""
    shutil.copytree(FIXTURE, tmp_path / "tfds")
    return tfds_reader.folder(tmp_path / "tfds", SMALL)


@pytest.fixture(scope="module")
def array_record(tmp_path_factory):
    """The same examples, left in a TFDS folder by our builder; the TFDS folder."""
    folder = tmp_path_factory.mktemp("tfds")
    tfds_writer.prepare(SMALL, expected(), folder, log=silent)
    return folder


def test_tfrecord_of_stock_tfds_is_read_in_the_original_order():
    assert_same(tfds_reader.read(FIXTURE, SMALL, log=silent), expected())


def test_the_fixture_is_in_another_order_on_disk():
    records = tfrecord.read(tfds_reader.folder(FIXTURE, SMALL) / TRAIN_SHARD)
    label = np.array([tfds_reader._picture(record)[1] for record in records])
    assert (label != expected().train.label).any()
    np.testing.assert_array_equal(label, expected().train.label[tfds_reader.order("train", 40)])


def test_array_record_of_our_builder_is_read_in_the_original_order(array_record):
    assert_same(tfds_reader.read(array_record, SMALL, log=silent), expected())


def test_our_builder_leaves_what_stock_tfds_describes(array_record):
    ours, stock = (tfds_reader.folder(folder, SMALL) for folder in (array_record, FIXTURE))
    assert json.loads((ours / "features.json").read_text()) == json.loads((stock / "features.json").read_text())
    infos = [json.loads((folder / "dataset_info.json").read_text()) for folder in (ours, stock)]
    for key in ("name", "version", "description", "citation", "location", "supervisedKeys"):
        assert infos[0][key] == infos[1][key]
    assert infos[0]["fileFormat"] == "array_record"
    for mine, theirs in zip(infos[0]["splits"], infos[1]["splits"], strict=True):
        assert [mine[key] for key in ("name", "shardLengths")] == [theirs[key] for key in ("name", "shardLengths")]


def test_tfds_itself_reads_what_our_builder_left(array_record):
    import tensorflow_datasets as tfds

    source = tfds.builder("mnist", data_dir=str(array_record), file_format="array_record").as_data_source("train")
    order = tfds_reader.order("train", 40)
    for place in (0, 39):
        np.testing.assert_array_equal(source[place]["image"], expected().train.image[order[place]])
        assert source[place]["label"] == expected().train.label[order[place]]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_the_table_agrees_with_tfds(name):
    import tensorflow_datasets as tfds

    source, stock = SOURCES[name], tfds.builder_cls(name)
    assert str(stock.VERSION) == source.version
    builder = tfds.builder(name, data_dir="nowhere")
    assert tuple(builder.info.features["label"].names) == source.classes
    assert builder.info.features["image"].shape == (28, 28, 1)


@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist"])
def test_the_whole_family_is_written_and_read_alike(name, tmp_path):
    source = SOURCES[name]._replace(train_examples=40, test_examples=20)
    tfds_writer.prepare(source, expected(), tmp_path, log=silent)
    assert_same(tfds_reader.read(tmp_path, source, log=silent), expected())


def test_our_builder_does_not_take_the_name_of_the_stock_one(array_record):
    import tensorflow_datasets as tfds

    assert tfds.builder_cls("mnist").__module__.startswith("tensorflow_datasets.")


def test_tensorflow_is_not_needed(array_record):
    tfds_reader.read(array_record, SMALL, log=silent)
    assert "tensorflow" not in sys.modules


def test_a_folder_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(DataMissing, match=r"TFDS folder .*mnist/3.0.1: not there") as caught:
        tfds_reader.read(tmp_path, SMALL, log=silent)
    assert len(caught.value.tried) == 1


def test_a_shard_that_is_not_there_is_missing(copy):
    (copy / TRAIN_SHARD).unlink()
    with pytest.raises(DataMissing, match=f"{TRAIN_SHARD} is not there"):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


def test_a_format_that_is_not_read_is_missing(copy):
    info = json.loads((copy / "dataset_info.json").read_text())
    (copy / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "parquet"}))
    with pytest.raises(DataMissing, match="its format parquet is not read, only tfrecord, array_record"):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


def test_array_record_without_its_reader_is_missing(array_record, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    with pytest.raises(DataMissing, match="no reader of array_record"):
        tfds_reader.read(array_record, SMALL, log=silent)
    assert not tfds_writer.can_write()


def test_a_remote_tfds_folder_is_refused():
    with pytest.raises(DataError, match=r"the TFDS folder gs://tfds is remote, and only local ones are read"):
        tfds_reader.root("gs://tfds")


def test_the_tfds_folder_is_the_argument_then_the_variable_then_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "b"))
    assert tfds_reader.root(tmp_path / "a") == tmp_path / "a"
    assert tfds_reader.root(None) == tmp_path / "b"
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert tfds_reader.root(None) == Path.home() / "tensorflow_datasets"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "dataset_info.json is damaged"),
        ("[]", "dataset_info.json is damaged"),
        ('{"splits": [{"name": "train"}]}', "dataset_info.json is damaged: KeyError"),
        (
            '{"splits": [{"name": "train", "shardLengths": ["40"]}]}',
            r"has the splits \['train'\], expected train and test",
        ),
    ],
)
def test_a_damaged_description_is_reported(copy, text, sentence):
    (copy / "dataset_info.json").write_text(text)
    with pytest.raises(DataError, match=sentence):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: flip(path, 0), "record 0 at byte 0: the checksum of the length is wrong"),
        (lambda path: flip(path, 9), "record 0 at byte 0: the checksum of the length is wrong"),
        (lambda path: flip(path, 100), "record 0: the checksum of the data is wrong"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), r"record 39 at byte \d+: the file ends at byte 13198"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "record 40 .* ends within the header"),
        (lambda path: path.write_bytes(b""), "has 0 records, expected 40"),
    ],
)
def test_damage_in_a_tfrecord_file_is_one_sentence_that_names_it(copy, change, sentence):
    change(copy / TRAIN_SHARD)
    with pytest.raises(DataError, match=f"{TRAIN_SHARD}.*{sentence}"):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


def test_damage_in_an_array_record_file_is_one_sentence_that_names_it(array_record, tmp_path):
    shutil.copytree(array_record, tmp_path / "tfds")
    shard = next(tfds_reader.folder(tmp_path / "tfds", SMALL).glob("*train.array_record*"))
    shard.write_bytes(shard.read_bytes()[:-70_000])
    with pytest.raises(DataError, match=f"{shard.name} is not a whole ArrayRecord file") as caught:
        tfds_reader.read(tmp_path / "tfds", SMALL, log=silent)
    assert "\n" not in str(caught.value)


def rewrite(path: Path, record: bytes) -> None:
    """Replace the last record, with right checksums."""
    frames = [*tfrecord.read(path)[:-1], record]
    crc = tfrecord.masked_crc(frames)
    head = [struct.pack("<Q", len(frame)) for frame in frames]
    rows = zip(head, tfrecord.masked_crc(head), frames, crc, strict=True)
    path.write_bytes(b"".join(h + struct.pack("<I", hc) + f + struct.pack("<I", c) for h, hc, f, c in rows))


def example(images: list[bytes], labels: list[int]) -> bytes:
    from tensorflow_datasets.proto import tf_example_pb2

    message = tf_example_pb2.Example()
    message.features.feature["image"].bytes_list.value.extend(images)
    message.features.feature["label"].int64_list.value.extend(labels)
    return message.SerializeToString()


def colour_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (28, 28)).save(file, format="PNG")
    return file.getvalue()


GOOD_PNG = png.encode(np.full((28, 28, 1), 7, np.uint8))


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        ([], [1], "it has 0 images and 1 labels, expected one of each"),
        ([GOOD_PNG], [], "it has 1 images and 0 labels, expected one of each"),
        ([GOOD_PNG[:50]], [1], "not a whole PNG"),
        ([b"no picture"], [1], "not a whole PNG"),
        ([colour_png()], [1], "its mode is RGB, expected L"),
        ([png.encode(np.zeros((28, 27, 1), np.uint8))], [1], r"its image is \[28, 27\], expected \[28, 28\]"),
    ],
    ids=["no image", "no label", "cut", "no PNG", "colour", "size"],
)
def test_a_record_that_is_not_a_labelled_picture_is_one_sentence_that_names_it(copy, images, labels, sentence):
    rewrite(copy / TRAIN_SHARD, example(images, labels))
    with pytest.raises(DataError, match=f"{TRAIN_SHARD}, record 39: {sentence}"):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


def test_a_record_that_is_not_an_example_is_one_sentence_that_names_it(copy):
    rewrite(copy / TRAIN_SHARD, b"\xff\xff")
    with pytest.raises(DataError, match=f"{TRAIN_SHARD}, record 39: not a tf.train.Example"):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


@pytest.mark.parametrize("label", [10, -1, 1 << 40])
def test_a_label_out_of_range_is_refused(copy, label):
    rewrite(copy / TRAIN_SHARD, example([GOOD_PNG], [label]))
    with pytest.raises(DataError, match=rf"train: label \d+ is {label}, expected 0 to 9"):
        tfds_reader.read(copy.parent.parent, SMALL, log=silent)


def test_another_content_than_registered_is_refused():
    with pytest.raises(DataError, match=r"3.0.1: the content of mnist has SHA-256 \w+, expected 00"):
        tfds_reader.read(FIXTURE, SMALL._replace(sha256="00"), log=silent)


def test_the_masked_checksum_is_the_published_one():
    # "123456789" -> 0xe3069283 is the check value of CRC-32C; the mask is TFRecord's
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert tfrecord.masked_crc([b"", b"123456789", b"12345678"])[1] == masked


@settings(deadline=None, max_examples=30)
@given(st.lists(st.binary(max_size=20), max_size=8))
def test_the_checksums_of_many_records_are_those_of_each_alone(records):
    alone = [tfrecord._masked_crc_of_one(record) for record in records]
    np.testing.assert_array_equal(tfrecord.masked_crc(records), np.array(alone, np.uint32))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_a_picture_survives_png(height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 1), np.uint8)
    np.testing.assert_array_equal(png.decode(png.encode(image)), image[..., 0])


def test_the_order_is_that_of_tfds_own_shuffler(tmp_path):
    from tensorflow_datasets.core.shuffle import Shuffler

    shuffler = Shuffler(tmp_path, hash_salt="train")
    for key in range(500):
        shuffler.add(key, str(key).encode())
    np.testing.assert_array_equal(tfds_reader.order("train", 500), [int(data) for _, data in shuffler])
