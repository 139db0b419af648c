"""From a config to its data: what the user named is used or refused, and a fallback takes all other overrides over."""

import numpy as np
import pytest
from PIL import Image

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError, DataMissing
from hwr_jax.data import configured
from hwr_jax.steps import recipe
from hwr_jax.steps.overrides import check_overrides
from hwr_jax.training import experiment

CNN = "configs/cnn.py:smoke"


@pytest.fixture(autouse=True)
def _own_caches(here, monkeypatch):
    """The caches of the suite, and a machine without MNIST."""
    load = configured.load

    def without_mnist(config, *arguments, **more):
        if config.data.name == "mnist":
            raise DataMissing("mnist", ["everywhere"])
        return load(config, *arguments, **more)

    monkeypatch.setattr(configured, "load", without_mnist)


def prepare(path, **given):
    given = {key.replace("__", "."): value for key, value in given.items()}
    lines = []
    return experiment.prepare(path, configs.load(path, given), given, None, lines.append), lines


def test_a_fallback_takes_over_what_the_user_said_of_the_data():
    made, _ = prepare(CNN, data__train_examples=300, data__validation_examples=50, optim__learning_rate=0.01)
    assert made.config.data.name == "digits"
    assert made.config.optim.learning_rate == 0.01
    assert len(made.dataset.train.label) == 300
    assert len(made.dataset.validation.label) == 50
    with pytest.raises(ConfigError, match="config.data.train_examples=5000 is more than"):
        prepare(CNN, data__train_examples=5000)


def test_whoever_names_the_data_gets_no_other():
    for given in ({"data__name": "mnist"}, {"data__manual_dir": "x"}):
        with pytest.raises(DataMissing, match="mnist was not found"):
            prepare(CNN, **given)
        with pytest.raises(ConfigError, match="config.data.fallback=digits has no effect here: the data set is named"):
            prepare(CNN, **given, data__fallback="digits")
    with pytest.raises(DataMissing, match="mnist was not found"):
        prepare(CNN, data__fallback="none")


@pytest.fixture
def mine(tmp_path):
    """A folder of 20 pictures of each of two classes."""
    for number, name in enumerate(("3", "5")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(20):
            grey = np.full((28, 28), 235, np.uint8)
            grey[5 + i % 5 : 20, 8 + number : 12 + i % 7] = 30
            Image.fromarray(grey).save(tmp_path / "mine" / name / f"{i}.png")
    return tmp_path / "mine"


def test_the_config_records_how_many_pictures_of_the_users_own_are_for_validation(mine):
    made, lines = prepare("configs/digits.py:smoke", data__name="folder", data__manual_dir=str(mine))
    assert made.config.data.validation_examples == len(made.dataset.validation.label) == 5
    assert any("Validation takes 5 of the 32 training pictures" in line for line in lines)
    again = configured.load_of_run(
        made.config, {"sha256": made.dataset.sha256, "classes": ["3", "5"]}, None, lambda line: None
    )
    np.testing.assert_array_equal(again.train.label, made.dataset.train.label)


def test_the_smoke_size_of_finetune_keeps_the_users_own_pictures(mine):
    made, _ = prepare("configs/finetune.py:smoke", data__manual_dir=str(mine), data__validation_examples=6)
    assert made.dataset.name == "folder"
    assert made.dataset.classes == ("3", "5")


IDLE = {
    "augment.elastic_smooth_px": (2.0, {"augment.elastic_px": 1.0}),
    "nonfinite.limit": (3, {"nonfinite.policy": "skip"}),
    "data.rehearsal_examples": (5, {"init_from": "runs/x", "data.rehearsal": "digits"}),
    "data.subset_seed": (3, {"data.train_examples": 100}),
    "data.manual_dir": ("x", {"data.name": "mnist"}),
    "data.label_column": ("last", {"data.name": "folder"}),
    "data.pixel_scale": (16.0, {"data.name": "folder"}),
    "data.orientation": ("transposed", {"data.name": "folder"}),
    "data.class_map": ("x", {"data.name": "folder"}),
}


@pytest.mark.parametrize("key", IDLE)
def test_an_override_without_effect_is_refused_until_something_reads_it(smoke, key):
    value, other = IDLE[key]
    with pytest.raises(ConfigError, match=f"config.{key}={value} has no effect here: "):
        check_overrides(smoke(**{key: value}), {key: value})
    given = {key: value, **other}
    check_overrides(smoke(**given), given)


def test_class_weights_reach_the_training_loss_alone_and_strings_have_none(smoke):
    config = smoke(loss__class_weights="balanced")
    made = recipe.make_recipe(config, examples=100, classes=2, mean=0.1, std=0.3, counts=np.array([90, 10]))
    logits, label = np.zeros((2, 2), np.float32), np.array([0, 1])
    np.testing.assert_allclose(made.loss(logits, label), np.log(2) * np.array([100 / 180, 5]), rtol=1e-6)
    np.testing.assert_allclose(made.task.loss(logits, label), np.log(2), rtol=1e-6)
    for name, words in (("crnn", "is not for strings: use none"), ("scratch", "is not in the network from scratch")):
        config = configs.load(f"configs/{name}.py", {"loss.class_weights": "balanced"})
        with pytest.raises(ConfigError, match=f"config.loss.class_weights=balanced {words}"):
            recipe.make_recipe(config, examples=1000, classes=2, mean=0.1, std=0.3)
