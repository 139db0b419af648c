"""The run folder: who may use it, and its records."""

import errno
import fcntl
import multiprocessing
import os

import numpy as np
import pytest

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.workdir import logs, machine, run_folder


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file: name a folder"), run_folder.locked(tmp_path / "file"):
        pass


def hold(folder, holds, release):
    with run_folder.locked(folder):
        holds.set()
        release.wait(30)
        os._exit(9)  # like a kill: without clean-up


def test_a_second_trainer_is_refused_and_the_lock_of_a_killed_one_does_not_count(tmp_path):
    context = multiprocessing.get_context("spawn")
    holds, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, holds, release))
    other.start()
    assert holds.wait(60)
    with pytest.raises(RunFolderError, match="another process is training in"), run_folder.locked(tmp_path):
        pass
    release.set()
    other.join(30)
    with run_folder.locked(tmp_path):
        assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("error", [ConfigError("no"), RunFolderError("no")])
def test_a_refused_folder_is_left_without_a_lock_of_ours(tmp_path, error):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(type(error)), run_folder.locked(tmp_path):
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / ".lock").touch()  # a run's, or the user's
    with pytest.raises(type(error)), run_folder.locked(tmp_path):
        raise error
    assert (tmp_path / ".lock").exists()


def test_a_lock_file_that_was_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    flock, calls = fcntl.flock, []

    def slow(lock, flags):
        if not calls:
            (tmp_path / ".lock").unlink()  # by a process whose folder was refused
        calls.append(flags)
        flock(lock, flags)

    monkeypatch.setattr(fcntl, "flock", slow)
    with run_folder.locked(tmp_path):
        assert (tmp_path / ".lock").exists()
        with pytest.raises(RunFolderError, match="another process is training in"), run_folder.locked(tmp_path):
            pass
    assert len(calls) == 3


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    said = []
    with run_folder.locked(tmp_path, said.append):
        assert (tmp_path / ".lock").exists()
    assert said == [
        f"{tmp_path} is on a file system without locks ({os.strerror(number)}): make sure that no other process trains "
        "in it"
    ]


def test_another_error_of_the_lock_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OSError, match="Input/output error"), run_folder.locked(tmp_path):
        pass


def test_reading_a_folder_that_is_not_a_run_gives_an_error(tmp_path):
    with pytest.raises(ConfigError, match="nowhere does not exist: name a run folder"):
        run_folder.read_config(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        run_folder.read_config(tmp_path)


def test_a_damaged_environment_gives_an_error(begun):
    (begun / "environment.json").write_text('{"dataset": ')
    with pytest.raises(RunFolderError, match=r"environment\.json is damaged"):
        run_folder.read_json(begun, "environment.json")


def test_the_environment_records_what_the_run_ran_on(begun, digits):
    env = run_folder.read_json(begun, "environment.json")
    assert env["dataset"]["sha256"] == digits.sha256
    assert env["dataset"]["examples"] == {"train": 1097, "validation": 200, "test": 500}
    assert set(machine.PACKAGES) < set(env["versions"])
    assert {"devices", "xla_flags", "command", "code", "over_seeds", "platform", "processor", "cpu_count"} <= set(env)


def test_metrics_are_cut_back_to_a_checkpoint_with_a_torn_last_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step, split in ((10, "train"), (10, "validation"), (20, "train"), (10, "test")):
        files.append_json_line(path, logs.metrics_line(1, step, split, [0], loss=np.array([0.5])))
    with open(path, "a") as file:
        file.write('{"epoch": 3, "st')
    logs.cut_metrics(path, 10)
    assert [(line["step"], line["split"]) for line in files.read_json_lines(path)] == [
        (10, "train"),
        (10, "validation"),
    ]


def test_a_metrics_line_has_the_mean_and_every_seed():
    line = logs.metrics_line(2, 20, "validation", [3, 4], accuracy=np.array([0.5, 1.0]))
    assert line["accuracy"] == 0.75
    assert line["per_seed"] == {"accuracy": [0.5, 1.0]}
    assert line["seeds"] == [3, 4]


def test_seconds_add_up_over_resumes(tmp_path):
    import time

    for _ in range(2):
        timing = logs.Timing(tmp_path / "timing.jsonl", time.perf_counter() - 1)
        timing.write("start", compile_seconds=0.25)
        timing.write("epoch", train_seconds=2.0, images=100)
    total = logs.total_times(tmp_path / "timing.jsonl")
    assert total["train_seconds"] == 4.0
    assert total["compile_seconds"] == 0.5
    assert total["images_per_second"] == 50.0
    assert 2.0 <= total["total_seconds"] < 3.0


def test_nan_is_never_written_as_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    files.write_json(path, [1])
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        files.write_json(path, [2])
    assert files.read_json(path) == [1]
    assert len(list(tmp_path.iterdir())) == 1
