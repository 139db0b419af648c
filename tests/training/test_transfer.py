"""Transfer: which weights a run begins with, which of them it changes, and the accuracies before and after."""

import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image
from quick_runs import NETWORK, TINY

from hwr_jax import models
from hwr_jax.config import configs
from hwr_jax.core import files
from hwr_jax.distributed import signals
from hwr_jax.inference import predictor
from hwr_jax.optim import optimizers
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.studies import trial

SMALL = ["--config.batch_size=32", "--config.epochs=2"]
TRANSFER = ["--config=configs/transfer.py:smoke", *SMALL, "--config.data.train_examples=100"]


@pytest.fixture(scope="module")
def source(command, tmp_path_factory):
    """A tiny run on digits with two seeds."""
    folder = tmp_path_factory.mktemp("transfer") / "source"
    done = command("main", "--config=configs/digits.py:smoke", *TINY, "--config.seeds=2", f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def weights(folder):
    model = predictor.load(folder)
    return jax.tree.map(np.asarray, model.params)


def per_seed(folder):
    return files.read_json(folder / "summary.json")["test"]["accuracy"]["per_seed"]


def test_a_run_begins_with_the_weights_of_another_and_reports_before_and_after(two_seeds, command, tmp_path):
    source, run = two_seeds[0], tmp_path / "run"
    done = command("main", *TRANSFER, f"--config.init_from={source}", "--config.seeds=2", f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    found = files.read_json(run / "summary.json")["transfer"]
    assert found == {"digits": {"before": per_seed(source), "after": per_seed(run)}}
    assert "accuracy on digits:" in done.stdout
    moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (weights(run), weights(source))), strict=True)]
    assert all(0 < m < 0.2 for m in moved)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["keep", "new"])
def test_frozen_layers_stay_as_they_are_to_the_bit(source, command, tmp_path, head):
    run = tmp_path / "run"
    flags = [f"--config.init_from={source}", "--config.transfer.frozen=True", f"--config.transfer.head={head}"]
    done = command("main", *TRANSFER, *TINY, *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    before, after = weights(source), weights(run)
    for name in after:
        for a, b in zip(jax.tree.leaves(after[name]), jax.tree.leaves(before[name]), strict=True):
            assert np.array_equal(a, b[:1]) == (name != "Dense_1"), name
    known = files.read_json(run / "summary.json")["transfer"]["digits"]
    assert known["before"] == (per_seed(source)[:1] if head == "keep" else None)


def test_a_run_learns_own_pictures_of_some_classes_and_rehearses_the_old_data(source, command, tmp_path, digits):
    own = tmp_path / "own"
    for name in ("7", "3"):
        (own / name).mkdir(parents=True)
        for i in np.flatnonzero(digits.test.label == int(name))[:20]:
            Image.fromarray(255 - np.asarray(digits.test.image[i, :, :, 0])).save(own / name / f"{i}.png")
    run = tmp_path / "run"
    flags = ["--config=configs/finetune.py:smoke", *SMALL, *TINY, f"--config.init_from={source}"]
    flags += ["--config.data.name=folder", f"--config.data.manual_dir={own}", "--config.data.validation_examples=4"]
    flags += ["--config.data.rehearsal=digits", "--config.data.rehearsal_examples=60"]
    done = command("main", *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    summary = files.read_json(run / "summary.json")
    assert summary["examples"] == {"train": 28 + 60, "validation": 4, "test": 8}
    assert summary["classes"] == list("0123456789")
    assert set(summary["transfer"]) == {"folder", "digits"}
    assert summary["transfer"]["digits"]["before"] == per_seed(source)[:1]
    assert summary["transfer"]["folder"]["after"] == per_seed(run)
    assert command("evaluate", f"--workdir={run}").returncode == 0


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--config.init_from=/nonsense"], 64, "config.init_from=/nonsense is not a run folder"),
        (
            ["--config.init_from={source}", "--config.frame.crop_px=2"],
            64,
            "frame or size of images; .*crop_px: 0 -> 2",
        ),
        (["--config.init_from={source}", "--config.data.rehearsal=folder"], 64, "config.data.rehearsal='folder'"),
        (
            ["--config.init_from={source}", "--config.model.hidden=(8,)"],
            64,
            r"frame or size of images; .*hidden: \[16\] -> \[16, 8\]",
        ),
        (["--config.data.rehearsal=digits"], 64, "config.data.rehearsal=digits needs config.init_from"),
        (["--config.transfer.frozen=True"], 64, "config.transfer.frozen=True has no effect here"),
    ],
)
def test_a_transfer_that_cannot_work_gives_a_clear_error(source, command, tmp_path, flags, code, words):
    done = command("main", *TRANSFER, *TINY, *(f.format(source=source) for f in flags), f"--workdir={tmp_path / 'r'}")
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert re.search(words, done.stderr), done.stderr


@pytest.mark.slow
def test_a_class_that_the_weights_do_not_know_needs_a_new_head(source, command, tmp_path, digits):
    own = tmp_path / "own"
    for name in ("3", "ampersand"):
        (own / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(255 - np.asarray(digits.test.image[i, :, :, 0])).save(own / name / f"{i}.png")
    flags = [
        *TRANSFER,
        *TINY,
        f"--config.init_from={source}",
        "--config.data.name=folder",
        f"--config.data.manual_dir={own}",
    ]
    flags += ["--config.data.validation_examples=2", "--config.data.train_examples=0", "--config.batch_size=7"]
    done = command("main", *flags, f"--workdir={tmp_path / 'r'}")
    assert done.returncode == 64
    assert "folder has the class 'ampersand', which the model does not know" in done.stderr
    done = command("main", *flags, "--config.transfer.head=new", f"--workdir={tmp_path / 'r'}")
    assert "another network" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert files.read_json(tmp_path / "r" / "summary.json")["classes"] == ["3", "ampersand"]


@pytest.mark.slow
def test_a_run_is_not_resumed_after_the_weights_it_began_with_have_changed(source, command, tmp_path):
    begun, run = tmp_path / "begun", tmp_path / "run"
    shutil.copytree(source, begun)
    flags = [*TRANSFER, *TINY, f"--config.init_from={begun}", f"--workdir={run}"]
    assert command("main", *flags).returncode == 0
    (run / "summary.json").unlink()
    shutil.rmtree(begun)
    other = ["--config=configs/digits.py:smoke", *TINY, "--config.seed=7", f"--workdir={begun}"]
    assert command("main", *other).returncode == 0
    done = command("main", *flags)
    assert done.returncode == 64
    assert "has changed since" in done.stderr
    shutil.rmtree(begun)
    shutil.copytree(source, begun)
    assert command("main", *flags).returncode == 0
    shutil.rmtree(begun)
    assert "finished" in command("main", *flags).stdout


@pytest.mark.exhaustive
def test_it_works_on_several_devices(source, command, tmp_path):
    env = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = command("main", *TRANSFER, *TINY, f"--config.init_from={source}", f"--workdir={tmp_path / 'r'}", env=env)
    assert done.returncode == 0, done.stderr
    assert "2 x cpu" in done.stdout
    found = files.read_json(tmp_path / "r" / "summary.json")["transfer"]["digits"]
    assert found["before"] == per_seed(source)[:1]


def test_the_learning_rate_falls_from_layer_to_layer_towards_the_image(smoke):
    made = smoke(init_from="somewhere", transfer__layer_decay=0.5, optim__name="sgd", optim__weight_decay=0.0)
    recipe = make_recipe(made, examples=1097, classes=10, mean=0.1, std=0.3)
    names = models.layer_names(recipe.model, (28, 28, 1))
    assert names == ["Conv_0", "Conv_1", "Dense_0", "Dense_1"]
    params = jax.eval_shape(lambda: recipe.model.init(jax.random.key(0), (1, 28, 28, 1)))["params"]
    ones = jax.tree.map(lambda p: np.ones(p.shape, p.dtype), params)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = jax.jit(lambda ones: recipe.optimizer.update(ones, recipe.optimizer.init(ones), ones))(ones)
    sizes = [float(updates[name]["bias"][0]) for name in names]
    np.testing.assert_allclose(np.array(sizes) / sizes[-1], [0.125, 0.25, 0.5, 1.0], rtol=1e-6)


def test_layers_are_listed_from_the_image_on_and_the_head_is_the_last_dense_one():
    for name, first in (("resnet", "Conv_0"), ("vit", "Dense_0"), ("mlp", "Dense_0")):
        made = configs.load(f"configs/{name}.py:smoke")
        model = models.make(made.model, classes=10)
        names = models.layer_names(model, (28, 28, 1))
        assert (names[0], names[-1]) == (first, models.head_of(dict.fromkeys(names)))
    assert models.head_of({"Dense_2": 0, "Dense_10": 0, "Conv_11": 0}) == "Dense_10"


def test_factors_multiply_updates():
    transformation = optimizers.by_layer(optax.identity(), {"a": 0.0, "b": 2.0})
    updates, _ = transformation.update({"a": jnp.ones(2), "b": jnp.ones(3)}, transformation.init({}), {})
    assert updates["a"].tolist() == [0, 0]
    assert updates["b"].tolist() == [2, 2, 2]


@pytest.mark.parametrize("block", [1, 2])
def test_trials_begin_with_the_weights_of_their_own_seed_whatever_the_block(source, digits, here, block):
    overrides = {
        **NETWORK,
        "init_from": str(source),
        "optim.learning_rate": 1e-9,
        "optim.weight_decay": 0.0,
        "epochs": 1,
    }
    own = configs.load("configs/digits.py:smoke", overrides)
    with signals.Signals() as handlers:
        compiled = trial.compile_config(own, digits, block=block, devices=1, log=print)
        trials = [trial.Trial(own, seed) for seed in range(2)]
        found = [r for i in range(0, 2, block) for r in trial.train(compiled, trials[i : i + block], handlers)]
    before = per_seed(source)
    assert before[0] != before[1]
    assert [r["test"]["accuracy"] for r in found] == before
    assert {r["init_from"]["folder"] for r in found} == {str(source)}
    assert len({r["init_from"]["sha256"] for r in found}) == 1
