"""The bytes of an IDX file, gzipped or not: the parser and its checks. Knows no data set, and writes nothing.

Format: bytes 0, 0, type (8 = uint8), number of axes; one big-endian uint32 per axis; the elements in C order.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hwr_jax.core.errors import DataError

File = Path | zipfile.Path
GZIP = b"\x1f\x8b"
UINT8 = 8
TYPES = {UINT8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def load(path: File, limit: int) -> bytes:
    """Returns the bytes of a file, decompressed if it is gzipped.

    Raises:
      DataError: it holds more than `limit` bytes, before or after decompression, or is not a whole gzip file.
      OSError: it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise DataError(f"{path} holds more than the {limit:,} bytes allowed")
    return decompress(raw, path, limit)


def decompress(raw: bytes, path: File, limit: int) -> bytes:
    """Undoes gzip, if it is gzipped. Raises DataError if it ends early, is damaged, or holds more than `limit`."""
    if not raw.startswith(GZIP):
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            plain = file.read(limit + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error
    if len(plain) > limit:
        raise DataError(f"{path} holds more than the {limit:,} bytes allowed")
    return plain


def parse(raw: bytes, path: File, *, types: tuple[int, ...] = (UINT8,)) -> np.ndarray:
    """IDX bytes -> array of any shape, read-only. Raises DataError unless it has one of `types`, and the header
    accounts for every byte."""
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise DataError(f"{path} is not an IDX file: it begins with {raw[:4].hex() or 'nothing'}, expected 0000")
    dtype, axes = raw[2], raw[3]
    if dtype not in types:
        expected = "0x08 (uint8)" if types == (UINT8,) else ", ".join(f"0x{t:02x}" for t in types)
        raise DataError(f"{path} holds IDX type 0x{dtype:02x}, expected {expected}")
    start = 4 + 4 * axes
    if len(raw) < start:
        raise DataError(f"{path} ends within its header: {len(raw)} bytes, expected at least {start}")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    element = np.dtype(TYPES[dtype])
    if len(raw) - start != math.prod(shape) * element.itemsize:
        raise DataError(
            f"{path} holds {len(raw) - start} bytes of data, expected {math.prod(shape) * element.itemsize} for its "
            f"shape {list(shape)}"
        )
    return np.frombuffer(raw, element, offset=start).reshape(shape)
