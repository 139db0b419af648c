"""The IDX format of the MNIST family's original files. Owns the parser and its checks; writes nothing.

Format: bytes 0, 0, dtype (8 = uint8), number of axes; one big-endian uint32 per axis; the elements in C order.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data.checksums import Registered
from hwr_jax.data.content import Content, upright
from hwr_jax.data.sources import IMAGE_SHAPE, Source

File = Path | zipfile.Path
UINT8 = 8
GZIP = b"\x1f\x8b"


def read(paths: Mapping[str, File], source: Source, registered: Mapping[str, Registered]) -> Content:
    """Read and check the four files.

    Args:
        paths: a file, gzipped or not, for each key of `IDX_FILES`; also one within an archive.
        source: what is expected.
        registered: by name of the gzipped file; a gzipped file must match its entry, if it has one.

    Raises:
        DataError: a file is damaged, or not the one expected; the sentence names it.
    """
    plain = {}
    for key, name in source.file_names().items():
        raw = paths[key].read_bytes()
        if raw.startswith(GZIP) and name in registered:
            check_registered(paths[key], raw, registered[name])
        plain[key] = parse(decompress(raw, paths[key]), paths[key])
    splits = []
    for split, examples in (("train", source.train_examples), ("test", source.test_examples)):
        splits.append(_pair(split, plain, paths, examples, source))
    return Content(*splits)


def check_registered(path: File, raw: bytes, registered: Registered) -> None:
    """Raises DataError unless size and SHA-256 are the registered ones."""
    if len(raw) != registered.size:
        raise DataError(f"{path} has {len(raw)} bytes, expected {registered.size}")
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != registered.sha256:
        raise DataError(f"{path} has SHA-256 {sha256}, expected {registered.sha256}")


def decompress(raw: bytes, path: File) -> bytes:
    """Undo gzip, if it is gzipped. Raises DataError if it ends early or is damaged."""
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error


def parse(raw: bytes, path: File) -> np.ndarray:
    """IDX bytes -> uint8 array, read-only. Raises DataError unless the header accounts for every byte."""
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise DataError(f"{path} is not an IDX file: it begins with {raw[:4].hex() or 'nothing'}, expected 0000")
    dtype, axes = raw[2], raw[3]
    if dtype != UINT8:
        raise DataError(f"{path} holds IDX type 0x{dtype:02x}, expected 0x08 (uint8)")
    start = 4 + 4 * axes
    if len(raw) < start:
        raise DataError(f"{path} ends within its header: {len(raw)} bytes, expected at least {start}")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    if len(raw) - start != math.prod(shape):
        raise DataError(
            f"{path} holds {len(raw) - start} bytes of data, expected {math.prod(shape)} for its shape {list(shape)}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _pair(
    split: str, plain: Mapping[str, np.ndarray], paths: Mapping[str, File], examples: int, source: Source
) -> Arrays:
    """The images and labels of one split, checked against each other and against what is expected."""
    image, label = plain[f"{split}_image"], plain[f"{split}_label"]
    image_path, label_path = paths[f"{split}_image"], paths[f"{split}_label"]
    if image.ndim != 3 or image.shape[1:] != IMAGE_SHAPE[:2]:
        raise DataError(f"{image_path} has shape {list(image.shape)}, expected [{examples}, 28, 28]")
    if label.ndim != 1:
        raise DataError(f"{label_path} has shape {list(label.shape)}, expected [{examples}]")
    if len(image) != len(label):
        raise DataError(f"{image_path} has {len(image)} images, but {label_path} has {len(label)} labels")
    if len(image) != examples:
        raise DataError(f"{image_path} has {len(image)} images, expected {examples}")
    return upright(source, image, label, where=str(label_path))
