"""Reads a data set that TFDS has prepared, without TensorFlow. Owns TFDS's layout: folders, shards, order of examples.

Writes nothing (`tfds_writer` does). Returns the examples in the order of the original files: TFDS sorts them by a hash
of their index, salted with the split's name, and this file undoes that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwr_jax.core.errors import DataError, DataMissing
from hwr_jax.core.types import Arrays
from hwr_jax.data.content import Content, upright, verify
from hwr_jax.data.formats import png, tfrecord
from hwr_jax.data.progress import track
from hwr_jax.data.sources import IMAGE_SHAPE, Source

SHARD = "{name}-{split}.{file_format}-{shard:05d}-of-{shards:05d}"


def root(data_dir: str | Path | None) -> Path:
    """TFDS's folder: `data_dir`, else `TFDS_DATA_DIR`, else TFDS's default. Raises DataError for a remote one."""
    named = str(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    if "://" in named:
        raise DataError(f"the TFDS folder {named} is remote, and only local ones are read: name one with --data_dir")
    return Path(named).expanduser()


def folder(data_dir: Path, source: Source) -> Path:
    """Where TFDS puts the data set."""
    return data_dir / source.name / source.version


def read(data_dir: Path, source: Source, *, log: Callable[[str], object]) -> Content:
    """Read what TFDS prepared.

    Raises:
        DataMissing: it is absent, or in a format that cannot be read here.
        DataError: it is damaged; the sentence names the file.
    """
    where = folder(data_dir, source)
    info = _info(where, source)
    splits = {split["name"]: [int(length) for length in split["shardLengths"]] for split in info["splits"]}
    if not {"train", "test"} <= splits.keys():
        raise DataError(f"{where / 'dataset_info.json'} has the splits {sorted(splits)}, expected train and test")
    file_format = info.get("fileFormat", "tfrecord")
    records = {name: _records(where, source, name, file_format, splits[name]) for name in Content._fields}
    content = Content(
        *(_decode(records[name], name, info, where=where, source=source, log=log) for name in Content._fields)
    )
    verify(source, content, where=str(where))
    return content


def order(split: str, examples: int) -> np.ndarray:
    """Which original example lies at each place of a shuffled split, int64 [N].

    Source: `tensorflow_datasets.core.shuffle.Shuffler`, the key of an example being its index.
    """
    from tensorflow_datasets.core.hashing import Hasher

    hasher = Hasher(split)
    return np.array(sorted(range(examples), key=hasher.hash_key), np.int64)


def _info(where: Path, source: Source) -> dict:
    """The parsed dataset_info.json."""
    path = where / "dataset_info.json"
    if not path.exists():
        raise DataMissing(source.name, [f"TFDS folder {where}: not there"])
    try:
        info = json.loads(path.read_text())
        for split in info["splits"]:
            [int(length) for length in split["shardLengths"]], split["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error
    return info


def _records(
    where: Path, source: Source, split: str, file_format: str, lengths: list[int]
) -> list[tuple[Path, list[bytes]]]:
    """The serialised examples of a split, shard by shard."""
    if file_format not in READERS:
        raise DataMissing(
            source.name, [f"TFDS folder {where}: its format {file_format} is not read, only {', '.join(READERS)}"]
        )
    shards = []
    for shard, length in enumerate(lengths):
        name = SHARD.format(name=source.family, split=split, file_format=file_format, shard=shard, shards=len(lengths))
        path = where / name
        if not path.exists():
            raise DataMissing(source.name, [f"TFDS folder {where}: {name} is not there"])
        try:
            records = READERS[file_format](path)
        except ImportError as error:  # on Windows ArrayRecord has no reader
            raise DataMissing(source.name, [f"TFDS folder {where}: no reader of {file_format} ({error})"]) from error
        if len(records) != length:
            raise DataError(f"{path} has {len(records)} records, expected {length}")
        shards.append((path, records))
    return shards


def _read_array_record(path: Path) -> list[bytes]:
    """All records of an ArrayRecord file. Raises DataError, naming the file, where it is damaged."""
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path))
        try:
            return reader.read_all()
        finally:
            reader.close()
    except (RuntimeError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a whole ArrayRecord file: {str(error).splitlines()[0]}") from error


READERS = {"tfrecord": tfrecord.read, "array_record": _read_array_record}


def _decode(
    shards: list[tuple[Path, list[bytes]]],
    split: str,
    info: dict,
    *,
    where: Path,
    source: Source,
    log: Callable[[str], object],
) -> Arrays:
    """Serialised examples -> arrays in the original order."""
    places = [(path, place, record) for path, records in shards for place, record in enumerate(records)]
    is_shuffled = not info.get("disableShuffling", False)
    index = order(split, len(places)) if is_shuffled else np.arange(len(places))
    image, label = np.empty((len(places), *IMAGE_SHAPE[:2]), np.uint8), np.empty(len(places), np.int64)
    text = f"Decoding {len(places):,} {split} examples of {source.name} from {where} (once)"
    for target, (path, place, record) in zip(index, track(places, text=text, total=len(places), log=log), strict=True):
        try:
            image[target], label[target] = _picture(record)
        except ValueError as error:
            raise DataError(f"{path}, record {place}: {error}") from error
    return upright(source, image, label, where=f"{where}: {split}")


def _picture(record: bytes) -> tuple[np.ndarray, int]:
    """Serialised `tf.train.Example` -> uint8 [28, 28] and its label. Raises ValueError."""
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        features = tf_example_pb2.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from error
    pngs, labels = features["image"].bytes_list.value, features["label"].int64_list.value
    if (len(pngs), len(labels)) != (1, 1):
        raise ValueError(f"it has {len(pngs)} images and {len(labels)} labels, expected one of each")
    image = png.decode(pngs[0])
    if image.shape != IMAGE_SHAPE[:2]:
        raise ValueError(f"its image is {list(image.shape)}, expected [28, 28]")
    return image, labels[0]
