"""TFRecord files without TensorFlow. Owns the framing and its checksums; does not know what a record means.

Format of a record: length, uint64; masked CRC-32C of the length, uint32; the bytes; masked CRC-32C of the bytes; all
little endian. Source: TensorFlow, "TFRecord and tf.train.Example", section "TFRecords format details".
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwr_jax.core.errors import DataError

POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
MASK_DELTA = 0xA282EAD8
FRAME = struct.Struct("<8sI")


def read(path: Path) -> list[bytes]:
    """All records of a file. Raises DataError, naming the file and the record, if a checksum or the end is wrong."""
    raw = path.read_bytes()
    records, crcs = [], []
    start = 0
    while start < len(raw):
        where = f"{path}, record {len(records)} at byte {start}"
        if len(raw) - start < FRAME.size:
            raise DataError(f"{where}: the file ends within the header of the record")
        length, length_crc = FRAME.unpack_from(raw, start)
        if _masked_crc_of_one(length) != length_crc:
            raise DataError(f"{where}: the checksum of the length is wrong")
        end = start + FRAME.size + int.from_bytes(length, "little")
        if end + 4 > len(raw):
            raise DataError(f"{where}: the file ends at byte {len(raw)}, expected at least {end + 4}")
        records.append(raw[start + FRAME.size : end])
        crcs.append(int.from_bytes(raw[end : end + 4], "little"))
        start = end + 4
    wrong = np.flatnonzero(masked_crc(records) != np.array(crcs, np.uint32))
    if wrong.size:
        raise DataError(f"{path}, record {wrong[0]}: the checksum of the data is wrong")
    return records


def masked_crc(records: Sequence[bytes]) -> np.ndarray:
    """The masked CRC-32C of each record, uint32 [N].

    All records are processed side by side, one byte of each at a time, so that 70,000 small ones take only as many
    NumPy steps as the longest has bytes.
    """
    table = _table()
    order = sorted(range(len(records)), key=lambda index: -len(records[index]))
    longest = len(records[order[0]]) if records else 0
    data = np.zeros((longest, len(records)), np.uint8)
    for place, index in enumerate(order):
        data[: len(records[index]), place] = np.frombuffer(records[index], np.uint8)
    lengths = np.array([len(records[index]) for index in order], np.int64)
    crc = np.full(len(records), 0xFFFFFFFF, np.uint32)
    for step in range(longest):
        running = int(np.searchsorted(-lengths, -step, side="left"))  # those that are longer than `step`
        crc[:running] = table[(crc[:running] ^ data[step, :running]) & 0xFF] ^ (crc[:running] >> 8)
    masked = np.empty_like(crc)
    masked[order] = (~crc >> 15 | ~crc << 17) + np.uint32(MASK_DELTA)
    return masked


def _masked_crc_of_one(record: bytes) -> int:
    """The same for one short record, where NumPy's steps would cost more than the bytes."""
    table, crc = _table_as_list(), 0xFFFFFFFF
    for byte in record:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


@functools.cache
def _table() -> np.ndarray:
    """CRC-32C of each byte, uint32 [256]."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, (crc >> 1) ^ np.uint32(POLYNOMIAL), crc >> 1).astype(np.uint32)
    return crc


@functools.cache
def _table_as_list() -> list[int]:
    return _table().tolist()
