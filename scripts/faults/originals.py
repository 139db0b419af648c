"""R13: damaged original files of a data set."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np

from faults import processes
from hwr_jax.core.errors import DataError
from hwr_jax.data.formats import idx

DAMAGED_FILES = 27
BAD = ("magic", "count", "label", "truncated gzip", "not gzip", "missing", "swapped", "flipped byte", "empty")


def bad_data(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R13: damaged original files: one sentence and exit code 66 before step 0; the last trial gives the reader 100,000
    damaged files."""
    if trial == DAMAGED_FILES:
        return _fuzz(rng, folder)
    fault = BAD[trial % len(BAD)]
    files = folder / "files"
    files.mkdir(parents=True)
    names = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    images = b"\x00\x00\x08\x03" + (60_000).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(60_000 * 784)
    labels = b"\x00\x00\x08\x01" + (60_000).to_bytes(4, "big") + bytes(60_000)
    tests = b"\x00\x00\x08\x03" + (10_000).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(10_000 * 784)
    for name, content in zip(names, (images, labels, tests), strict=True):
        (files / name).write_bytes(gzip.compress(content, 1))
    last = files / "t10k-labels-idx1-ubyte.gz"
    last.write_bytes(gzip.compress(b"\x00\x00\x08\x01" + (10_000).to_bytes(4, "big") + bytes(10_000), 1))
    path = files / names[trial % 3]
    if fault == "magic":
        path.write_bytes(gzip.compress(b"\x01" + gzip.decompress(path.read_bytes())[1:], 1))
    elif fault == "count":
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[: -int(rng.integers(1, 500))], 1))
    elif fault == "label":
        last.write_bytes(gzip.compress(b"\x00\x00\x08\x01" + (10_000).to_bytes(4, "big") + b"\x0b" * 10_000, 1))
    elif fault == "truncated gzip":
        path.write_bytes(path.read_bytes()[: int(rng.integers(20, 60))])
    elif fault == "not gzip":
        path.write_bytes(rng.bytes(1000))
    elif fault == "missing":
        path.unlink()
    elif fault == "swapped":
        shutil.move(path, files / "x")
        shutil.move(last, path)
        shutil.move(files / "x", last)
    elif fault == "flipped byte":  # these files are not MNIST's anyway, which their checksums show
        content = bytearray(path.read_bytes())
        content[int(rng.integers(len(content)))] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"")
    own = {"HWR_CACHE_DIR": str(folder / "cache"), "TFDS_DATA_DIR": str(folder / "tfds")}
    flags = ("--config=configs/fast.py:smoke", f"--config.data.manual_dir={files}", f"--workdir={folder / 'run'}")
    code, _, error = processes.run("main", *flags, env=own)
    assert code == 66, f"{fault}: {code} {error[-300:]}"
    assert "Traceback" not in error, error
    assert error.count("\n") == 1, error
    assert str(files) in error, error
    return fault


def _fuzz(rng: np.random.Generator, folder: Path) -> str:
    whole = gzip.compress(b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (3, 5, 5)) + bytes(75), 1)
    path, read, unnamed = folder / "damaged.gz", 0, 0
    for _ in range(100_000):
        content = bytearray(whole)
        for _ in range(int(rng.integers(1, 5))):
            content[int(rng.integers(len(content)))] = int(rng.integers(256))
        content = content[: int(rng.integers(len(content) + 1))] if rng.random() < 0.2 else content
        plain = bytearray(gzip.decompress(whole))
        plain[int(rng.integers(len(plain)))] = int(rng.integers(256))
        for raw in (bytes(content), gzip.compress(bytes(plain), 1)):
            try:
                idx.parse(idx.decompress(raw, path, 1 << 26), path)
                read += 1
            except DataError as error:
                unnamed += str(path) not in str(error)
    assert not unnamed, f"{unnamed} errors do not name the file"
    return f"100,000 damaged files, and as many of damaged content; {read} could be read"
