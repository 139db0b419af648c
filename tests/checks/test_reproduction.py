"""Reruns of recorded runs: the same bits, and a list of whatever changed in the environment."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.checks import reproduction
from hwr_jax.core import digests, files

SMALL = (  # each test trains it again
    "--config=configs/mlp.py:smoke", "--config.data.name=digits", "--config.data.validation_examples=200",
    "--config.batch_size=32", "--config.seeds=2", "--config.epochs=3",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(command, tmp_path_factory):
    """The folder of a finished run with two seeds, made with three threads."""
    folder = tmp_path_factory.mktemp("verify") / "run"
    done = command("main", *SMALL, f"--workdir={folder}", env={"NPROC": "3"})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(finished, tmp_path / "run")


def verify(command, run, *flags, **options):
    done = command("verify", f"--workdir={run}", *flags, **options)
    return done, json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith(("mlp", "cnn")) else None


def edit(path, **changes):
    value = files.read_json(path)
    for key, new in changes.items():
        *groups, last = key.split("__")
        place = value
        for group in groups:
            place = place[group]
        place[last] = new
    files.write_json(path, value)


def test_a_run_is_reproduced_to_the_bit_in_another_process_with_its_number_of_threads(command, run):
    assert json.loads((run / "environment.json").read_text())["threads"] == 3
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    done, found = verify(command, run)
    assert done.returncode == 0, done.stderr
    assert (found["reproduced"], found["identical"], found["state"]) == (True, True, "the same")
    assert found["differences"] == []
    assert found["largest"] == {"loss": 0.0, "accuracy": 0.0, "learning_rate": 0.0}
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before  # verify only reads the folder


@pytest.mark.slow
def test_another_version_is_named_and_the_first_epoch_alone_is_quick(command, run):
    edit(run / "environment.json", versions__jax="0.0.1")
    done, found = verify(command, run, "--quick")
    assert (done.returncode, found["epochs"], found["identical"], found["state"]) == (0, 1, True, "not recorded")
    [difference] = found["differences"]
    assert difference.startswith("versions.jax: 0.0.1 -> ")


def test_a_changed_config_is_named_and_not_reproduced(command, run):
    edit(run / "config.json", optim__learning_rate=1e-5)
    done, found = verify(command, run)
    assert (done.returncode, found["reproduced"], found["identical"], found["state"]) == (1, False, False, "different")
    assert [d.split(":")[0] for d in found["differences"]] == ["config_sha256"]
    assert found["largest"]["accuracy"] > 0.1
    assert "NOT reproduced: the mean accuracies" in done.stdout


@pytest.mark.exhaustive
def test_another_device_layout_is_named_and_equal_within_chance(command, run, caches):
    flags = {"XLA_FLAGS": f"{caches['XLA_FLAGS']} --xla_force_host_platform_device_count=2"}
    done, found = verify(command, run, "--devices=2", env=flags)
    assert (done.returncode, found["reproduced"]) == (0, True)
    assert {d.split(":")[0] for d in found["differences"]} == {"devices", "mesh_devices", "xla_flags"}
    assert found["identical"] or found["sentence"].startswith("equal within loss ")


def test_changed_data_gives_an_error(command, run):
    edit(run / "environment.json", dataset__sha256="0" * 64)
    done, _ = verify(command, run)
    assert (done.returncode, done.stderr.count("\n")) == (66, 1)
    assert "digits has changed since this run was trained" in done.stderr


def test_a_folder_without_a_run_or_an_epoch_gives_an_error(command, run, tmp_path):
    done, _ = verify(command, tmp_path / "nothing")
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    (run / "metrics.jsonl").write_text("")
    done, _ = verify(command, run)
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "has not finished an epoch yet" in done.stderr


def record(folder, accuracies, *, state=None, examples=500):
    """A run folder with one seed: (split, accuracy) of each epoch, in order."""
    folder.mkdir()
    files.write_json(
        folder / "environment.json",
        {"dataset": {"examples": dict.fromkeys(("train", "validation", "test"), examples)}, "code": {}, "resumed": []},
    )
    lines = [
        {"epoch": epoch, "step": epoch, "split": split, "per_seed": {"accuracy": [value]}}
        for epoch, split, value in accuracies
    ]
    files.write_json_lines(folder / "metrics.jsonl", lines)
    if state:
        files.write_json(folder / "summary.json", {"state_sha256": state, "dataset": "", "test": {}})
    return folder


FIRST = (1, "validation", 0.9)


@pytest.mark.parametrize(
    ("new", "differences", "expected"),
    [
        ([FIRST], [], (True, True)),
        ([(1, "validation", 0.9001)], [], (False, False)),  # in the same environment only identical bits count
        ([(1, "validation", 0.9001)], ["devices: 1 -> 2"], (True, False)),
        ([(1, "validation", 0.8)], ["devices: 1 -> 2"], (False, False)),  # more than three standard errors
        ([], ["devices: 1 -> 2"], (False, False)),
        ([FIRST, (2, "validation", 0.95)], [], (True, True)),  # later epochs do not count
    ],
)
def test_the_verdict(tmp_path, new, differences, expected):
    folders = record(tmp_path / "a", [FIRST]), record(tmp_path / "b", new)
    found = reproduction.compare(*folders, epochs=1, differences=differences)
    assert (found.reproduced, found.identical) == expected


@pytest.mark.parametrize(("states", "expected"), [(("x", "x"), True), (("x", "y"), False), (("x", None), True)])
def test_the_same_metrics_with_other_weights_are_not_identical(tmp_path, states, expected):
    folders = [record(tmp_path / str(i), [FIRST], state=state) for i, state in enumerate(states)]
    assert reproduction.compare(*folders, epochs=1, differences=[]).identical is expected


def test_three_standard_errors_are_those_of_two_samples(tmp_path):
    error = 3 * np.sqrt(2 * 0.9 * 0.1 / 500)
    for i, (apart, expected) in enumerate([(0.95 * error, True), (1.05 * error, False)]):
        a = record(tmp_path / f"a{i}", [(1, "test", 0.9 + apart / 2)])
        b = record(tmp_path / f"b{i}", [(1, "test", 0.9 - apart / 2)])
        assert reproduction.compare(a, b, epochs=1, differences=["x"]).reproduced is expected


def test_a_digest_is_of_names_shapes_dtypes_and_bits():
    tree = {"a": jnp.arange(6.0), "b": jnp.zeros(2, jnp.int32)}
    same = digests.of_tree({"b": np.zeros(2, np.int32), "a": np.arange(6, dtype=np.float32)})
    assert digests.of_tree(tree) == same
    others = [
        {**tree, "a": tree["a"].reshape(2, 3)},
        {**tree, "b": tree["b"].astype(jnp.float32)},
        {"a": tree["a"], "c": tree["b"]},
        {**tree, "a": tree["a"].at[0].set(-0.0)},
    ]
    assert len({same, *map(digests.of_tree, others)}) == 5
