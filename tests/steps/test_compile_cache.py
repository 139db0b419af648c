"""The compilation cache: damaged entries, its limit, and several processes at once."""

import os
import subprocess
import sys
import threading

import pytest

from hwr_jax.steps import compile_cache

CODE = """
import os, pathlib, sys, threading
import jax
from hwr_jax.steps import compile_cache

folder = pathlib.Path(sys.argv[1])
old = folder / "xla" / ("0" * 12) / f"jit_old-{'0' * 64}-cache"
old.parent.mkdir(parents=True)
with old.open("wb") as file:
    file.truncate(compile_cache.LIMIT_BYTES + 1)  # it takes no room on the disk
compile_cache.cache_compilations(folder)
assert not old.exists()


def ours(x):
    return x * 2


sizes = []
for _ in range(3):
    jax.clear_caches()
    assert jax.jit(ours)(2.0) == 4.0
    [entry] = folder.glob("xla/*/jit_ours-*-cache")
    sizes.append(entry.stat().st_size)
    if len(sizes) == 1:  # as a kill leaves it
        entry.write_bytes(entry.read_bytes()[:100])
print(min(sizes) > 100 and sizes[1] == sizes[2])

done = threading.Event()  # another process removes all it finds, again and again
def prune():
    while not done.is_set():
        compile_cache.prune(folder / "xla", 0)
thread = threading.Thread(target=prune)
thread.start()
for _ in range(20):
    jax.clear_caches()
    assert jax.jit(ours)(2.0) == 4.0
done.set()
thread.join()
"""


def test_truncated_and_removed_entries_are_compiled_again_without_a_warning(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


@pytest.fixture
def folder(tmp_path):
    """The folders of two processors with 20 entries of 100 bytes each, the oldest first, and what is not ours."""
    for i in range(20):
        entry(tmp_path, i).parent.mkdir(exist_ok=True)
        entry(tmp_path, i).write_bytes(bytes(100))
        os.utime(entry(tmp_path, i), (1000 + i, 1000))
    return tmp_path


def entry(folder, i):
    return folder / (f"{i % 2}" * 12) / f"jit_step-{i:064x}-cache"


def kept(folder):
    return [i for i in range(20) if entry(folder, i).exists()]


@pytest.mark.parametrize(("limit", "left"), [(2000, 20), (1999, 19), (1050, 10), (99, 0), (0, 0)])
def test_the_least_recently_used_entries_of_all_processors_are_removed_beyond_the_limit(folder, limit, left):
    compile_cache.prune(folder, limit)
    assert kept(folder) == [*range(20 - left, 20)]


def test_an_entry_that_was_read_is_newer_than_one_that_was_written_later(folder):
    os.utime(entry(folder, 0), (5000, 1000))
    os.utime(entry(folder, 1), (1, 4000))  # a file system that notes no reading
    compile_cache.prune(folder, 300)
    assert kept(folder) == [0, 1, 19]


def test_nothing_that_is_no_entry_is_counted_or_removed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / entry(folder, 0).name
    elsewhere.write_bytes(bytes(5000))
    inside, name = entry(folder, 0).parent, f"jit_x-{'a' * 64}-cache"
    others = [
        folder / name,
        folder / "mine" / name,
        inside / "notes.txt",
        inside / "jit_x-cache",
        inside / f"{name}.bak",
    ]
    (folder / "mine").mkdir()
    (inside / f"jit_folder-{'b' * 64}-cache").mkdir()
    for path in others:
        path.write_bytes(bytes(5000))
    links = [inside / f"jit_link-{'c' * 64}-cache", folder / ("d" * 12)]
    links[0].symlink_to(elsewhere)
    links[1].symlink_to(elsewhere.parent, target_is_directory=True)
    compile_cache.prune(folder, 2000)
    assert kept(folder) == [*range(20)]
    compile_cache.prune(folder, 0)
    assert kept(folder) == []
    assert all(path.exists() for path in (*others, *links, elsewhere, inside / f"jit_folder-{'b' * 64}-cache"))


def test_the_note_of_the_last_use_goes_with_its_entry(folder):
    note = entry(folder, 0).with_name(entry(folder, 0).name.replace("-cache", "-atime"))
    note.write_bytes(bytes(8))
    compile_cache.prune(folder, 1900)
    assert not note.exists()
    assert kept(folder) == [*range(1, 20)]


def test_several_that_prune_at_once_keep_the_newest_entries_that_fit(folder):
    failed = []

    def prune():
        try:
            compile_cache.prune(folder, 700)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=prune) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert kept(folder) == [*range(13, 20)]


def test_a_cache_that_is_missing_is_within_the_limit(tmp_path):
    compile_cache.prune(tmp_path / "none")
    assert not (tmp_path / "none").exists()
