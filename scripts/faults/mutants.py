"""R16: small files of every format with random damage, and what becomes of a file that nobody should trust."""

from __future__ import annotations

import functools
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faults import hostile
from hwr_jax.core.errors import DataError
from hwr_jax.inference import scan
from hwr_jax.inference.reader import Reader
from hwr_jax.pictures import documents, normalise

SCRIPT = Path(__file__).resolve().parents[1] / "hostile_pictures.py"
TRIALS, AT_ONCE = 51, 400  # of the row, and mutants that one process reads
LIMIT_S = 10.0  # of one core, for a page
HANG_S = 60.0  # until a page counts as hung: other programs may run on the core
LIMIT_BYTES = 1536 * 2**20  # resident, of a process that reads it
LONGEST = 600  # characters of a sentence
RARE = {"PDF": 0.4}  # these take a process each: fewer of them
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
REPAIRED = 0.7  # share of the PNG files
HEADER = 64  # bytes, in which half of the edits fall


class Outcome(NamedTuple):
    """What became of a file."""

    word: str  # "read", "blank" or "refused"
    seconds: float  # of one core, for the slowest page
    sentences: list[str]


@functools.cache
def _seeds() -> tuple[list[str], list[bytes], np.ndarray]:
    found = hostile.seeds()
    weights = np.array([RARE.get(kind, 1.0) for kind in found])
    return list(found), list(found.values()), weights / weights.sum()


def mutant(number: int) -> tuple[str, bytes]:
    """Returns the format and the bytes of a mutant: the same for the same number."""
    rng = np.random.default_rng([16, number])
    kinds, contents, weights = _seeds()
    which = int(rng.choice(len(kinds), p=weights))
    content = bytearray(contents[which])
    for _ in range(int(rng.integers(1, 6))):
        if content:
            _EDITS[int(rng.integers(len(_EDITS)))](content, rng)
    if kinds[which] == "PNG" and rng.random() < REPAIRED:
        _mend(content)
    return kinds[which], bytes(content)


def _mend(png: bytearray) -> None:
    """Makes the checksums of a PNG right, so that a decoder looks at what is in its chunks."""
    at = 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        end = min(at + 8 + length, len(png) - 4)
        struct.pack_into(">I", png, end, zlib.crc32(png[at + 4 : end]))
        at = end + 4


def _at(content: bytearray, rng: np.random.Generator) -> int:
    return int(rng.integers(min(len(content), HEADER) if rng.random() < 0.5 else len(content)))


def _flip(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        content[_at(content, rng)] ^= 1 << int(rng.integers(8))


def _write(content: bytearray, rng: np.random.Generator) -> None:
    at, order = _at(content, rng), "<" if rng.random() < 0.5 else ">"
    value = EXTREMES[int(rng.integers(len(EXTREMES)))]
    size = int(rng.choice([1, 2, 4]))
    packed = struct.pack(f"{order}{' BH I'[size]}", value & (256**size - 1))
    content[at : at + size] = packed


def _insert(content: bytearray, rng: np.random.Generator) -> None:
    at = _at(content, rng)
    content[at:at] = rng.bytes(int(rng.integers(1, 40)))


def _delete(content: bytearray, rng: np.random.Generator) -> None:
    at = _at(content, rng)
    del content[at : at + int(rng.integers(1, 40))]


def _cut(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(rng.integers(len(content))) :]


def _swap(content: bytearray, rng: np.random.Generator) -> None:
    first, second, third = sorted(int(i) for i in rng.integers(len(content) + 1, size=3))
    content[first:third] = content[second:third] + content[first:second]


def _repeat(content: bytearray, rng: np.random.Generator) -> None:
    at = _at(content, rng)
    part = content[at : at + int(rng.integers(1, 200))]
    content[at:at] = part * int(rng.integers(1, 20))


_EDITS = (_flip, _flip, _write, _write, _insert, _delete, _cut, _swap, _repeat)


def cpu_seconds() -> float:
    """Returns the processor's time that this process, and those that it has ended, have taken."""
    return sum(os.times()[:4])


def outcome(
    model: Reader, content: bytes, began: Callable[[], object] = lambda: None, *, predict: bool = True
) -> Outcome:
    """Reads a file as `scan` does and, with `predict`, as `predict` does.

    Args:
        model: of single characters.
        content: of the file.
        began: called before each page.
        predict: whether to read it twice.

    Raises AssertionError: a refusal that is no sentence; and whatever else is raised, which is a fault.
    """
    times = [cpu_seconds()]

    def next_page() -> None:
        times.append(cpu_seconds())
        began()

    read: list[scan.Page] = []
    refusals: list[DataError] = []
    began()
    try:
        for one in documents.pages(content):
            if isinstance(one.grey, DataError):
                refusals.append(one.grey)
            else:
                read.append(scan.read_page(model, one.grey, one, content))
            next_page()
    except DataError as error:
        refusals.append(error)
    next_page()
    try:
        if predict:
            normalise.normalised(content)
    except DataError as error:
        if not read:
            refusals.append(error)
    next_page()
    sentences = [str(error) for error in refusals]
    for sentence in sentences:
        assert sentence.startswith("the given bytes"), sentence
        assert sentence.isprintable(), repr(sentence)
        assert len(sentence) < LONGEST, sentence
        assert "MemoryError" not in sentence, sentence
    word = "refused" if not read else "read" if any(page.digits for page in read) else "blank"
    return Outcome(word, max(np.diff(times)), sentences)


def hostile_pictures(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R16: damaged pictures: each trial gives `scan` and `predict` 400 files of all formats with random damage, and
    the last one 300 files made to do harm (bombs, loops, textures); each is read, or refused in one sentence, within
    10 s of one core for a page, and 1.5 GiB."""
    flags = ["--files"] if trial == TRIALS - 1 else [f"--first={AT_ONCE * trial}", f"--mutations={AT_ONCE}"]
    command = [sys.executable, str(SCRIPT), *flags, f"--failures={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    *formats, whole, slowest = (" ".join(line.split()) for line in done.stdout.splitlines()[1:])
    return "; ".join([f"read, blank, refused, failed: {whole}", *formats, slowest])
