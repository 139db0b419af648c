"""Every config of README's table, in the size of a test, on the real MNIST: from the command to a summary."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASED = ("robust", "release")
ON_MNIST = sorted(
    path.stem
    for path in (ROOT / "configs").glob("*.py")
    if path.stem
    not in ("base", "crnn", "digits", "finetune", "release", "robust", "transfer")  # these have tests of their own
)


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("name", [n if n == "cnn" else pytest.param(n, marks=pytest.mark.exhaustive) for n in ON_MNIST])
def test_the_smoke_size_of_every_config_learns_something_of_mnist(name, command, tmp_path):
    flags = ["--config.data.train_examples=2500", "--config.data.validation_examples=500", "--config.epochs=2"]
    real = {"HWR_MNIST_DIR": os.environ["HWR_MNIST_DIR"]}
    done = command("main", f"--config=configs/{name}.py:smoke", f"--workdir={tmp_path / 'run'}", *flags, env=real)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["dataset"] == "mnist"
    assert summary["examples"]["test"] == 10_000
    assert summary["test"]["accuracy"]["mean"] > 0.3  # chance is 0.1


@pytest.mark.exhaustive
@pytest.mark.mnist
def test_the_released_model_begins_where_robust_ended(command, tmp_path):
    flags = ["--config.data.train_examples=2000", "--config.data.validation_examples=500"]
    for name in RELEASED:
        done = command("main", f"--config={ROOT}/configs/{name}.py:smoke", *flags, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    before, after = (json.loads((tmp_path / f"runs/{name}-smoke/summary.json").read_text()) for name in RELEASED)
    assert after["test"]["loss"]["mean"] < before["test"]["loss"]["mean"]
