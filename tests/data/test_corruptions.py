"""Images made worse: each kind changes them, more with each strength, and the same for a seed."""

import json

import numpy as np
import pytest

from hwr_jax.data import corruptions
from hwr_jax.inference import corruption_scores


@pytest.fixture(scope="module")
def images(digits):
    return np.asarray(digits.test.image[:100, ..., 0])


def test_there_are_fifteen_of_five_families():
    assert [len(kinds) for kinds in corruptions.FAMILIES.values()] == [3] * 5
    assert len(corruptions.KINDS) == 15


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_it_changes_more_with_each_strength_and_is_the_same_for_a_seed(kind, images):
    worse = [corruptions.corrupt(images, kind, s) for s in corruptions.STRENGTHS]
    assert all(w.shape == images.shape and w.dtype == np.uint8 for w in worse)
    away = [float(np.abs(w.astype(float) - images).mean()) for w in worse]
    assert 0.3 < away[0] < away[2] < away[4]
    assert np.array_equal(worse[2], corruptions.corrupt(images, kind, 3))


@pytest.mark.parametrize("kind", ["gaussian noise", "glass", "fog", "rotation", "spatter"])
def test_another_seed_draws_others(kind, images):
    assert not np.array_equal(corruptions.corrupt(images, kind, 3), corruptions.corrupt(images, kind, 3, seed=1))


def test_they_are_what_they_are_called():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 10:18, 13:15] = 255
    assert corruptions.corrupt(image, "background", 5).min() == round(0.65 * 255)
    pale = corruptions.corrupt(image, "contrast", 5)
    assert np.ptp(pale) == pytest.approx(0.14 * 255, abs=1)
    blurred = corruptions.corrupt(image, "defocus", 5).astype(float)
    assert blurred.sum() == pytest.approx(float(image.sum()), rel=0.02)
    assert blurred.max() < 150
    turned = corruptions.corrupt(image, "rotation", 5)[0]
    assert np.ptp(np.nonzero(turned > 60)[1]) > 4


def test_an_unknown_kind_or_strength_is_refused(images):
    for kind, strength in (("rain", 1), ("fog", 0), ("fog", 6)):
        with pytest.raises(ValueError, match="no corruption .* use 1 to 5 of gaussian noise"):
            corruptions.corrupt(images, kind, strength)


@pytest.mark.slow
def test_the_command_prints_every_kind(command, two_seeds, digits):
    done = command("evaluate", f"--workdir={two_seeds[0]}", "--corruptions", "--format=json", "--seed=0")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(found["kinds"]) == sorted(corruptions.KINDS)
    assert found["mean"] == pytest.approx(np.mean([x for v in found["accuracy"].values() for x in v]))
    assert found["accuracy"]["impulse noise"][4] < found["clean"]
    assert found["families"]["noise"] == pytest.approx(
        np.mean([found["kinds"][k] for k in ("gaussian noise", "shot noise", "impulse noise")])
    )


def test_a_model_that_reads_all_right_scores_one(digits):
    class Right:
        def predict(self, images):
            return np.eye(10)[np.asarray(digits.test.label[:20])]

    arrays = digits.test._replace(image=digits.test.image[:20], label=digits.test.label[:20])
    found = corruption_scores.score(Right(), arrays, log=lambda line: None)
    assert (found["clean"], found["mean"]) == (1.0, 1.0)
