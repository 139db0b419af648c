"""A study on Ray: complete and the same when a worker dies, and errors are sentences."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwr_jax.core import files
from hwr_jax.core.errors import DataMissing
from hwr_jax.studies import results

STUDY = """
from configs import base, digits

QUESTION = "Which learning rate is best?"
VARIANTS = {"slow": {"optim.learning_rate": 2e-3}, "fast": {"optim.learning_rate": 2e-2}}
BASELINE = "slow"
SEEDS = 4


def get_config(variant: str = BASELINE):
    config = digits.get_config("smoke")
    config.model.name, config.model.hidden = "mlp", (32,)
    config.epochs = 4
    config.augment.update(shift_px=0.0, rotate_deg=0.0, scale=0.0, shear_deg=0.0)
    return base.override(config, VARIANTS, variant)
"""
NOT_SAME = ("train_seconds", "compile_seconds", "seconds")


@pytest.fixture
def study(experiment):
    return experiment("study.py", STUDY)


def workers(mark):
    """The processes that train a block, of the study with this mark in its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ, title = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in environ and title.startswith(b"ray::train_block"):
            found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_two_workers_one_of_them_killed_give_the_records_of_one_process(study, caches, command, tmp_path):
    here = command("study", f"--study={study}", f"--out={tmp_path / 'local'}")
    assert here.returncode == 0, here.stderr
    mark, out = f"HWR_TEST_MARK={tmp_path}", tmp_path / "ray"
    line = [sys.executable, "-m", "hwr_jax.study", f"--study={study}", f"--out={out}", "--engine=ray", "--workers=2"]
    process = subprocess.Popen(
        [*line, "--block=2"], env={**caches, "HWR_TEST_MARK": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 180
    while not (training := workers(mark)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert training, "no worker was seen"
    os.kill(training[0], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    expected, found = (
        {
            (r["variant"], r["seed"]): {k: v for k, v in r.items() if k not in NOT_SAME}
            for r in files.read_json_lines(folder / results.FILE)
        }
        for folder in (tmp_path / "local", out)
    )
    assert len(expected) == 8
    assert found == expected
    assert workers(mark) == []  # nothing is left behind


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_signal_ends_all_tasks_with_its_code(study, caches, tmp_path):
    mark = f"HWR_TEST_MARK={tmp_path}"
    line = [sys.executable, "-m", "hwr_jax.study", f"--study={study}", "--engine=ray", "--workers=2"]
    process = subprocess.Popen(
        line, env={**caches, "HWR_TEST_MARK": str(tmp_path)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 180
    while not workers(mark) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert "SIGTERM: stopped: finished trials are in " in err
    assert "Traceback" not in err
    deadline = time.monotonic() + 30
    while workers(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers(mark) == []


@pytest.mark.exhaustive
def test_an_error_in_a_worker_is_explained_in_a_sentence(study, command):
    study.write_text(STUDY.replace("config.epochs = 4", 'config.init_from = "nowhere"'))
    done = command("study", f"--study={study}", "--engine=ray", "--workers=1")
    assert done.returncode == 64
    assert done.stderr.startswith(
        "hwr_jax: config.init_from=nowhere is not a run folder: name one that hwr_jax.main has written"
    )
    assert len(done.stderr.splitlines()) == 1


def test_an_unreachable_cluster_is_explained_in_a_sentence(study, command):
    done = command("study", f"--study={study}", "--engine=ray", "--ray_address=127.0.0.1:1")
    assert done.returncode == 64
    assert "--ray_address=127.0.0.1:1 cannot be reached: " in done.stderr
    assert "Traceback" not in done.stderr


def test_without_ray_the_message_says_how_to_install_it(study, command, tmp_path, caches):
    (tmp_path / "ray.py").write_text("raise ImportError('not here')")
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{caches['PYTHONPATH']}"}
    done = command("study", f"--study={study}", "--engine=ray", env=env)
    assert done.returncode == 64
    assert "--engine=ray needs Ray: pip install 'hwr_jax[ray]'" in done.stderr


def test_missing_data_raise_the_same_error_in_a_worker():
    error = DataMissing("mnist", ["here: nothing"])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.tried) == (str(error), error.tried)
