"""The doctor: a healthy machine passes, and whatever is broken is named, with a fix."""

import json
from importlib import metadata

import pytest

from hwr_jax.checks import health
from hwr_jax.data import cache
from hwr_jax.data.sources import SOURCES


def test_a_healthy_machine_has_nothing_bad(command, tmp_path):
    done = command("doctor", "--format=json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {f["status"] for f in found.values()} <= {"good", "note"}
    assert {"Python", "packages", "devices", "computing", "sums", "cache", "checkpoints", "data: mnist"} <= found.keys()
    assert not list(tmp_path.iterdir())  # it leaves nothing behind


def test_what_is_broken_is_reported_with_a_fix_and_exit_code_1(command, tmp_path):
    (tmp_path / "file").write_text("")
    broken = {"HWR_CACHE_DIR": str(tmp_path / "file" / "x"), "HWR_MNIST_DIR": str(tmp_path)}
    broken["TFDS_DATA_DIR"] = str(tmp_path / "tfds")  # other tests may have prepared MNIST in that of the suite
    done = command("doctor", env=broken, cwd=tmp_path)
    assert done.returncode == 1
    assert " bad  cache: " in done.stdout
    assert "-> free some space there, or name another folder in HWR_CACHE_DIR" in done.stdout
    assert f"bad  data: mnist: HWR_MNIST_DIR={tmp_path} has no train-images-idx3-ubyte.gz" in done.stdout


def test_the_sums_that_jaxlib_gets_wrong_are_right_here_and_a_flag_that_undoes_that_is_reported(command, tmp_path):
    assert health.wrong_rows() == 0
    assert health.softmax_error() < 1e-6
    given = "--xla_cpu_experimental_ynn_fusion_type=+reduce"  # the user's value is kept, so the fault is back
    done = command("doctor", "--format=json", env={"XLA_FLAGS": given}, cwd=tmp_path)
    assert done.returncode == 1
    found = json.loads(done.stdout)["sums"]
    assert found["status"] == "bad"
    assert f"(it has {given!r})" in found["fix"]


def test_eight_devices_add_up():
    assert health.collectives() == health.Finding("good", "8 devices add up")


def test_a_wrong_or_missing_package_is_named(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(metadata, "requires", lambda name: ["optax>=0.2.8,<0.3", "rich>=13", 'ty==1; extra == "dev"'])

    def version(name):
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "optax" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = health.packages()
    assert found.status == "bad"
    assert "optax 0.1 is not" in found.what
    assert "rich is missing" in found.what


@pytest.mark.parametrize("damaged", [False, True])
def test_a_damaged_cache_is_reported(tmp_path, monkeypatch, digits, damaged):
    from hwr_jax import data

    monkeypatch.setenv("HWR_CACHE_DIR", str(tmp_path))
    data.load("digits", log=lambda line: None)
    if damaged:
        path = cache.folder(None, SOURCES["digits"]) / "test_label.npy"
        content = bytearray(path.read_bytes())
        content[-4] ^= 1
        path.write_bytes(content)
    found = health.data(SOURCES["digits"], None)
    assert found.status == ("note" if damaged else "good")
    assert ("test_label" in found.what) is damaged


def test_a_check_that_crashes_is_a_finding():
    def broken():
        raise RuntimeError("no driver\nmore")

    assert health._safely(broken) == health.Finding("bad", "RuntimeError: no driver", "see the error")
