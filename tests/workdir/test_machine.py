"""What a run runs on."""

import os
import subprocess

import pytest
from quick_runs import TINY, xla_flags

import hwr_jax
from hwr_jax.workdir import machine, run_folder


@pytest.mark.parametrize(
    ("flags", "given", "expected"),
    [
        ("", None, None),
        ("--xla_force_host_platform_device_count=1", None, None),
        ("--xla_force_host_platform_device_count=200", None, "400"),
        ("--a=1 --xla_force_host_platform_device_count=4 --xla_force_host_platform_device_count=300", None, "600"),
        ("--xla_force_host_platform_device_count=200", "3", "3"),
    ],
)
def test_virtual_devices_get_threads_to_compute_with_while_others_wait(monkeypatch, flags, given, expected):
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.delenv("NPROC", raising=False)
    if given is not None:
        monkeypatch.setenv("NPROC", given)
    machine.spare_threads()
    assert os.environ.get("NPROC") == expected
    assert machine.threads() == int(expected) if expected else machine.threads() >= 1


def test_a_run_over_virtual_devices_records_its_threads(command, tmp_path):
    flags = ("--config=configs/digits.py:smoke", *TINY)
    env = {"XLA_FLAGS": f"{xla_flags(flags)} --xla_force_host_platform_device_count=4"}
    done = command("main", *flags, "--config.epochs=1", f"--workdir={tmp_path / 'run'}", env=env)
    assert done.returncode == 0, done.stderr
    found = run_folder.read_json(tmp_path / "run", "environment.json")
    assert (found["mesh_devices"], found["threads"] >= 8) == (4, True)


def test_the_revision_is_that_of_a_repository_which_tracks_the_package(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    package = tmp_path / "venv" / "hwr_jax"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (tmp_path / "thesis.tex").write_text("")
    monkeypatch.setattr(hwr_jax, "__file__", str(package / "__init__.py"))
    assert machine.git_revision() is None
    git("init")
    git("add", "thesis.tex")
    git("commit", "-m", "somebody's own work")
    assert machine.git_revision() is None
    git("add", "venv")
    git("commit", "-m", "with the package")
    revision = machine.git_revision()
    assert revision is not None
    assert len(revision) == 40
    (package / "__init__.py").write_text("changed = True")
    assert machine.git_revision() == f"{revision}-dirty"
