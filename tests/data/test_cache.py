"""The decoded cache: all or nothing, mapped, verified on every read."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hwr_jax.core import files
from hwr_jax.core.errors import DataError
from hwr_jax.core.types import Arrays
from hwr_jax.data import cache
from hwr_jax.data.content import Content, digest
from hwr_jax.data.sources import DIGITS, Source

TINY = Source("mnist", "3.0.1", DIGITS, 6, 4, 2, None)


def some(seed: int = 0) -> Content:
    random = np.random.default_rng(seed)
    return Content(
        *(
            Arrays(random.integers(0, 256, (n, 28, 28, 1), np.uint8), random.integers(0, 10, n, np.int32))
            for n in (TINY.train_examples, TINY.test_examples)
        )
    )


@pytest.fixture
def written(tmp_path):
    folder = cache.folder(tmp_path, TINY)
    cache.write(folder, TINY, some())
    return folder


def test_what_is_written_is_read_back_mapped_and_read_only(written):
    content, sha256 = cache.read(written, TINY)
    assert sha256 == digest("mnist", some())
    assert isinstance(content.train.image, np.memmap)
    assert not content.train.image.flags.writeable
    np.testing.assert_array_equal(content.test.image, some().test.image)
    np.testing.assert_array_equal(content.train.label, some().train.label)


def test_nothing_else_stays_in_the_folder(written):
    assert [path.name for path in written.parent.iterdir()] == ["mnist-3.0.1"]
    assert sorted(path.name for path in written.iterdir()) == [
        *("content.json", "test_image.npy", "test_label.npy", "train_image.npy", "train_label.npy")
    ]


def test_the_description_tells_what_the_folder_holds(written):
    description = json.loads((written / "content.json").read_text())
    assert description["version"] == "3.0.1"
    assert description["classes"] == list(DIGITS)
    assert len(description["arrays"]) == 4


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: flip(folder / "train_image.npy"), r"SHA-256 \w+, expected \w+ \(changed: train_image.npy\)"),
        (
            lambda folder: np.save(folder / "test_label.npy", np.full(4, 11, np.int32)),
            "label 0 is 11, .*test_label.npy",
        ),
        (
            lambda folder: np.save(folder / "test_label.npy", np.zeros(3, np.int32)),
            r"test label is int32\[3\], expected",
        ),
        (lambda folder: np.save(folder / "test_label.npy", np.zeros(4)), r"test label is float64\[4\], expected int32"),
        (lambda folder: os.truncate(folder / "train_image.npy", 3000), "train_image.npy cannot be read"),
        (lambda folder: os.truncate(folder / "train_image.npy", 0), "train_image.npy cannot be read"),
        (lambda folder: (folder / "test_image.npy").unlink(), "test_image.npy cannot be read"),
        (lambda folder: (folder / "content.json").unlink(), "content.json cannot be read"),
        (lambda folder: (folder / "content.json").write_text("{"), "content.json cannot be read"),
        (lambda folder: (folder / "content.json").write_text("[]"), "content.json cannot be read"),
        (lambda folder: (folder / "content.json").write_text('{"sha256": 1, "arrays": {}}'), "content.json cannot be"),
    ],
)
def test_damage_is_one_sentence_that_names_the_file(written, change, sentence):
    change(written)
    with pytest.raises(DataError, match=sentence):
        cache.read(written, TINY)


def test_pickled_objects_are_never_loaded(written):
    np.save(written / "test_label.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="test_label.npy cannot be read"):
        cache.read(written, TINY)


def test_content_with_another_digest_than_registered_is_not_written(tmp_path):
    registered = TINY._replace(sha256="00")
    with pytest.raises(DataError, match=r"the content of mnist has SHA-256 \w+, expected 00"):
        cache.write(cache.folder(tmp_path, TINY), registered, some())
    assert not [*tmp_path.rglob("*.npy")]


def test_a_slower_process_leaves_the_files_of_the_faster_one(written):
    cache.write(written, TINY, some())
    assert [path.name for path in written.parent.iterdir()] == ["mnist-3.0.1"]
    assert cache.read(written, TINY)[1] == digest("mnist", some())


def test_a_write_that_fails_leaves_nothing_and_names_the_folder(tmp_path, monkeypatch):
    saved = []

    def full(path, array):
        saved.append(path)
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    folder = cache.folder(tmp_path, TINY)
    with pytest.raises(
        OSError, match=rf"the cache folder {folder.parent} cannot be written \(No space left on device\)"
    ):
        cache.write(folder, TINY, some())
    assert not [*folder.parent.iterdir()]


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="the cache folder .*file/datasets cannot be written .*HWR_CACHE_DIR"):
        cache.write(cache.folder(tmp_path / "file", TINY), TINY, some())


def test_a_cache_that_cannot_even_be_looked_for_stays_in_memory(tmp_path):
    said = []
    found, sha256 = cache.read_or_make(tmp_path / ("x" * 300), TINY, some, log=said.append)
    assert sha256 == digest("mnist", found)
    np.testing.assert_array_equal(found.train.image, some().train.image)
    assert [line.partition(":")[0] for line in said] == ["Nothing is kept for the next time"]


def test_a_damaged_cache_is_removed(written):
    cache.remove(written)
    assert not [*written.parent.iterdir()]
    cache.remove(written)


def test_a_damaged_cache_that_cannot_be_removed_is_named(written, monkeypatch):
    def refuse(self, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        OSError, match=rf"the damaged cache {written} cannot be removed \(Permission denied\): remove it"
    ):
        cache.remove(written)


def test_what_is_left_of_a_damaged_cache_is_no_error(written, monkeypatch):
    def refuse(*arguments, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    cache.remove(written)
    assert not written.exists()


def test_the_default_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HWR_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache.default_cache_dir() == tmp_path / "own"
    monkeypatch.delenv("HWR_CACHE_DIR")
    assert cache.default_cache_dir() == tmp_path / "xdg" / "hwr_jax"
    monkeypatch.setattr(sys, "platform", "win32")
    assert cache.default_cache_dir() == tmp_path / "local" / "hwr_jax"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.default_cache_dir() == Path.home() / ".cache" / "hwr_jax"


def test_what_killed_processes_left_is_removed_after_a_day(written):
    made = {}
    for name, days in (("old", 2), ("new", 0)):
        made[name] = written.parent / f".mnist-3.0.1-{name[0] * 4}{'0' * 28}".replace("o", "a").replace("n", "b")
        made[name].mkdir()
        (made[name] / "train_image.npy").write_bytes(b"half")
        when = time.time() - days * 24 * 3600
        os.utime(made[name], (when, when))
    (written.parent / ".hidden").mkdir()
    cache.tidy(written)
    assert not made["old"].exists()
    assert made["new"].exists()
    assert (written.parent / ".hidden").exists()


def test_a_split_without_examples_is_kept_and_read(tmp_path):
    source = TINY._replace(test_examples=0)
    empty = Arrays(np.zeros((0, 28, 28, 1), np.uint8), np.zeros(0, np.int32))
    folder = cache.folder(tmp_path, source)
    cache.write(folder, source, Content(some().train, empty))
    assert cache.read(folder, source)[0].test.image.shape == (0, 28, 28, 1)


def test_what_files_a_data_set_came_from_is_noted_up_to_ten_times(written):
    assert cache.origins(written) == []
    for i in range(12):
        cache.add_origin(written, f"files {i}")
    cache.add_origin(written, "files 5")
    assert cache.origins(written) == [*(f"files {i}" for i in (2, 3, 4, 6, 7, 8, 9, 10, 11)), "files 5"]
    assert cache.read(written, TINY)[1] == digest("mnist", some())


def test_a_cache_that_cannot_be_written_keeps_the_origins_that_it_has(written, monkeypatch):
    def refuse(path, text):
        raise PermissionError(errno.EACCES, "Permission denied")

    cache.add_origin(written, "files")
    monkeypatch.setattr(files, "write_atomic", refuse)
    cache.add_origin(written, "others")
    assert cache.origins(written) == ["files"]
    (written / "content.json").write_text("{")
    cache.add_origin(written, "others")
    assert cache.origins(written) == []


def test_of_a_place_the_newest_two_stay_and_what_is_damaged_is_left_alone(tmp_path):
    place = tmp_path / "mine"
    made = [cache.folder(tmp_path, TINY._replace(name="folder", version=version)) for version in "abcd"]
    for i, folder in enumerate(made):
        cache.write(folder, TINY, some(), place=place)
        os.utime(folder / "content.json", ns=(i, i))
    other, *damaged = (made[0].with_name(f"folder-{name}") for name in ("other", *"123456789"))
    cache.write(other, TINY, some(), place=tmp_path / "others")
    for folder in damaged:
        folder.mkdir()
        (folder / "content.json").write_text("{")
    cache.tidy(made[1], place)
    assert [path.exists() for path in (*made, other)] == [False, True, True, True, True]
    assert all(path.exists() for path in damaged)
