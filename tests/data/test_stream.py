"""Batches read from the disk: the same as in memory, to the bit, from any step on, and no more of them than needed."""

import json
import sys

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.data import stream
from hwr_jax.data.rows import Rows
from hwr_jax.distributed import processes

SMOKE = ("--config=configs/digits.py:smoke", "--config.model.norm=batch", "--config.augment.shift_px=2.0")


class Counted:
    """An array that notes which rows were read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.seen = array, array.shape, array.dtype, []

    def __getitem__(self, rows):
        self.seen.extend(np.atleast_1d(rows).tolist())
        return self.array[rows]


@pytest.fixture
def source():
    return Counted(np.arange(50 * 6).reshape(50, 2, 3, 1).astype(np.int16))


def test_rows_are_read_when_they_are_asked_for(source):
    rows = Rows(source, np.arange(40)).select(np.arange(0, 40, 2)).select(np.arange(20) % 3 == 0)
    assert source.seen == []
    assert (rows.shape, rows.dtype, len(rows)) == ((7, 2, 3, 1), np.int16, 7)
    np.testing.assert_array_equal(rows[np.array([2, 0])], source.array[[12, 0]])
    assert source.seen == [12, 0]
    np.testing.assert_array_equal(rows[:2], source.array[[0, 6]])
    with pytest.raises(MemoryError, match="must not be loaded into memory"):
        np.asarray(rows)


def dispatches(source, *, first=0, window=4, columns=slice(None), seeds=2, steps=11, batch=3):
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(50)[: steps * batch].reshape(steps, batch) for _ in range(seeds)])
    return stream.Dispatches(Arrays(source, np.arange(50)), order, first, window, columns)


@pytest.mark.parametrize("first", [0, 1, 6, 10])
@pytest.mark.parametrize("columns", [slice(None), slice(1, 3)])
def test_each_step_finds_its_batch_at_its_number_modulo_the_window(source, first, columns):
    made = dispatches(source, first=first, columns=columns)
    step = first
    for batches in stream.read(made):
        for _ in range(min(4, 11 - step)):
            for seed in range(2):
                rows = made.order[seed, step, columns]
                np.testing.assert_array_equal(batches.label[seed, step % 4], rows)
                np.testing.assert_array_equal(batches.image[seed, step % 4], source.array[rows])
            step += 1
    assert step == 11


def test_only_what_is_trained_on_is_read_and_only_some_dispatches_ahead(source):
    import time

    made = dispatches(source, window=1, seeds=1, steps=11, batch=3)
    batches = stream.read(made)
    next(batches)
    time.sleep(0.3)
    assert len(source.seen) <= 3 * (1 + stream.AHEAD + stream.THREADS)
    for _ in batches:
        pass
    assert sorted(source.seen) == sorted(made.order.ravel().tolist())


def test_a_streamed_data_set_is_the_same_except_for_where_its_training_images_are(caches):
    options = {
        "cache_dir": caches["HWR_CACHE_DIR"],
        "log": lambda line: None,
        "train_examples": 300,
        "label_noise": 0.2,
    }
    memory, streamed = (data.load("digits", stream=s, **options) for s in (False, True))
    assert isinstance(streamed.train.image, Rows)
    assert (memory.sha256, memory.mean, memory.std) == (streamed.sha256, streamed.mean, streamed.std)
    np.testing.assert_array_equal(streamed.train.image[:], memory.train.image)
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(streamed, split).label, getattr(memory, split).label)
    np.testing.assert_array_equal(streamed.validation.image, memory.validation.image)


@pytest.mark.slow
def test_a_streamed_run_is_that_of_memory_to_the_bit(command, tmp_path):
    records = []
    for streamed in (False, True):
        folder = tmp_path / str(streamed)
        flags = [
            "--config.model.name=mlp",
            "--config.model.hidden=(16,)",
            *(f"--config.augment.{name}=0" for name in ("rotate_deg", "scale", "shear_deg")),
            "--config.seeds=2",
            "--config.epochs=2",
            f"--config.data.stream={streamed}",
            f"--workdir={folder}",
        ]
        done = command("main", *SMOKE, *flags)
        assert done.returncode == 0, done.stderr
        summary = json.loads((folder / "summary.json").read_text())
        records.append(((folder / "metrics.jsonl").read_text(), summary["state_sha256"], summary["test"]))
    assert records[0] == records[1]


@pytest.mark.exhaustive
def test_processes_that_read_their_parts_train_what_one_does(start, tmp_path):
    from tests.distributed.test_processes import Job

    found = []
    for streamed in (False, True):
        folder = tmp_path / str(streamed)
        job = Job(start, folder, *SMOKE, "--config.epochs=2", f"--config.data.stream={streamed}")
        codes, said = job.wait()
        assert codes == [0, 0], said
        found.append(json.loads((folder / "summary.json").read_text())["state_sha256"])
    assert found[0] == found[1]
    assert not processes.many()


def test_without_grain_it_says_what_to_do(monkeypatch, source):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ConfigError, match="config.data.stream=True needs grain: pip install grain"):
        stream.read(dispatches(source))


def test_rehearsal_is_refused(command, tmp_path):
    flags = ["--config.data.stream=True", "--config.init_from=x", "--config.data.rehearsal=digits"]
    done = command("main", *SMOKE, *flags, f"--workdir={tmp_path / 'run'}")
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "config.data.stream=True does not rehearse" in done.stderr
