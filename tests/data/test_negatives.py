"""Images that are no digit: of every kind, the same for a seed, a class of their own, and only in the training set."""

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError
from hwr_jax.data import negatives
from hwr_jax.inference import predictor


@pytest.fixture
def glyphs(digits):
    return np.asarray(digits.train.image[..., 0])


def test_they_look_as_the_models_know_images(glyphs):
    images = negatives.draw(60, glyphs, seed=0)
    assert (images.shape, images.dtype) == ((60, 28, 28), np.uint8)
    assert (images.max((1, 2)) == 255).all()
    sides = []
    for image in images:
        rows, columns = np.flatnonzero(image.max(1)), np.flatnonzero(image.max(0))
        sides.append(max(np.ptp(rows), np.ptp(columns)) + 1)
    fitted = [side for side in sides if side <= 21]
    assert min(sides) >= 18
    assert 0.6 < len(fitted) / len(sides) < 0.95  # the others fill the frame
    assert len(np.unique(images, axis=0)) == 60


def test_none_of_them_is_an_upright_bar_which_may_be_a_one():
    y, x = np.mgrid[:40, :40]
    upright, level = (np.abs(a - 20 - 0.2 * (b - 20)) < 2 for a, b in ((x, y), (y, x)))
    assert negatives._may_be_one(upright.astype(np.float32))
    assert not negatives._may_be_one(level.astype(np.float32))
    assert not negatives._may_be_one((np.hypot(y - 20, x - 20) < 10).astype(np.float32))
    assert negatives._may_be_one(np.zeros((40, 40), np.float32))


def test_a_seed_draws_the_same_ones_again(glyphs):
    assert np.array_equal(negatives.draw(10, glyphs, seed=3), negatives.draw(10, glyphs, seed=3))
    assert not np.array_equal(negatives.draw(10, glyphs, seed=3), negatives.draw(10, glyphs, seed=4))


def test_every_font_has_every_letter():
    """A letter that a font lacks would be drawn as a box, always the same."""
    from PIL import ImageFont

    for name in negatives.FONTS:
        font = ImageFont.truetype(negatives._font(name), 48)
        missing = bytes(font.getmask("\U0010fffd"))
        for letter in negatives.LETTERS:
            assert bytes(font.getmask(letter)) != missing, (name, letter)
    assert not set("0123456789OoDQlIiSsZzBbgq") & set(negatives.LETTERS)


def test_they_are_a_class_of_the_training_set_alone(digits):
    said = []
    more = negatives.add(digits, 50, seed=0, log=said.append)
    assert more.classes == (*digits.classes, "none")
    assert len(more.train.label) == len(digits.train.label) + 50
    assert (np.asarray(more.train.label) == 10).sum() == 50
    assert more.validation is digits.validation
    assert more.test is digits.test
    assert more.sha256 not in (digits.sha256, negatives.add(digits, 50, seed=1, log=said.append).sha256)
    assert more.sha256 == negatives.add(digits, 50, seed=0, log=said.append).sha256
    assert said[0] == "Drawing 50 images that are none of the classes"
    with pytest.raises(ConfigError, match="adds the class 'none', which digits has"):
        negatives.add(more, 50, seed=0)


def test_load_adds_them(caches):
    options = {"cache_dir": caches["HWR_CACHE_DIR"], "log": lambda line: None}
    plain, more = data.load("digits", **options), data.load("digits", negatives=20, **options)
    assert len(more.train.label) == len(plain.train.label) + 20
    with pytest.raises(ConfigError, match="negatives=20 needs config.data.stream=False"):
        data.load("digits", negatives=20, stream=True, **options)


def test_a_run_learns_what_is_no_digit_and_is_tested_on_digits_alone(command, caches, tmp_path):
    run = tmp_path / "run"
    flags = ["--config=configs/digits.py:smoke", "--config.model.name=mlp", "--config.model.hidden=(64,)"]
    done = command("main", *flags, "--config.data.negatives=300", "--config.epochs=8", f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    assert "Drawing 300 images that are none of the classes" in done.stdout
    facts = files.read_json(run / "environment.json")["dataset"]
    assert facts["classes"][-1] == "none"
    assert facts["examples"]["train"] == 1097 + 300
    summary = files.read_json(run / "summary.json")
    assert summary["test"]["accuracy"]["mean"] > 0.7
    glyphs = np.asarray(
        data.load("digits", cache_dir=caches["HWR_CACHE_DIR"], log=lambda line: None).test.image[..., 0]
    )
    prob = predictor.load(run).predict(negatives.draw(200, glyphs, seed=9))
    assert (prob.argmax(1) == 10).mean() > 0.6
    assert command("evaluate", f"--workdir={run}").returncode == 0
