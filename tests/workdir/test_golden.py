"""This version still reads the run folders of released ones, and gives the same probabilities."""

from pathlib import Path

import numpy as np
import pytest

import hwr_jax
from hwr_jax.checks import reproduction
from hwr_jax.inference import predictor
from hwr_jax.workdir import run_folder

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir())


def test_this_version_has_one():
    assert hwr_jax.__version__ in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_run_is_read_with_the_same_probabilities(version, digits):
    model = predictor.load(GOLDEN / version, log=pytest.fail)
    expected = np.load(GOLDEN / version / "probabilities.npy")
    assert expected.shape == (16, 10)
    assert expected.std() > 0.1  # a trained network's
    found = model.predict(np.asarray(digits.test.image[:16]))
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_run_has_what_verify_needs(version):
    folder = GOLDEN / version
    assert reproduction.last_epoch(folder) == run_folder.read_config(folder).epochs
    assert len(run_folder.read_json(folder, "summary.json")["state_sha256"]) == 64
    recorded = run_folder.read_json(folder, "environment.json")["config_sha256"]
    assert run_folder.config_digest(run_folder.read_config(folder)) == recorded  # keys added since change nothing


@pytest.mark.parametrize("version", VERSIONS)
def test_verify_of_an_old_run_says_that_the_code_has_changed(version, digits):
    there = run_folder.read_environment(GOLDEN / version)
    here = run_folder.environment(run_folder.read_config(GOLDEN / version), digits, over_seeds="map")
    changes = reproduction.surroundings(there, {**here, "resumed": []})
    assert f"code.sha256: {there['code']['sha256']} -> {here['code']['sha256']}" in changes
    assert not any(change.startswith("config_sha256") for change in changes)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_run_is_verified_within_chance(command, version):
    done = command("verify", f"--workdir={GOLDEN / version}", "--quick")
    assert done.returncode == 0, done.stderr
    assert "rerun: equal within loss" in done.stdout
    assert "\n  code.sha256: " in done.stdout
    assert done.stderr == ""
