"""What is drawn of a network's inside, against finite differences, covered pixels and its own output layer."""

import jax
import numpy as np
import pytest

from hwr_jax.core import canvas
from hwr_jax.drawing import embedding, evidence, network


@pytest.fixture(scope="module", autouse=True)
def standard():
    """The promotion of a command."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def opened(two_seeds):
    return network.open_run(two_seeds[0], seed=1, log=print)


@pytest.fixture(scope="module")
def images(digits):
    return np.asarray(digits.test.image)[:3]


def test_the_seed_that_is_asked_for_gives_its_own_predictions(opened, two_seeds, digits):
    saved = np.load(two_seeds[0] / "predictions.npz")
    log_prob = jax.jit(opened.log_prob)(opened.framed(np.asarray(digits.test.image)[:50]))
    np.testing.assert_allclose(np.exp(log_prob), saved["prob"][1, :50], atol=1e-4)
    assert np.abs(np.exp(log_prob) - saved["prob"][0, :50]).max() > 0.01


def test_the_last_hidden_layer_is_what_the_scores_are_made_of(opened, images):
    head = opened.variables["params"]["Dense_1"]
    scores = opened.hidden(images) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    np.testing.assert_allclose(jax.nn.log_softmax(scores), opened.log_prob(opened.framed(images)), atol=1e-4)


def test_images_are_watched_in_parts_without_a_difference(opened, digits, monkeypatch):
    some = np.asarray(digits.test.image)[:7]
    whole = opened.hidden(some)
    monkeypatch.setattr(network, "BATCH", 3)
    np.testing.assert_allclose(opened.hidden(some), whole, atol=1e-5)


def test_saliency_is_the_slope_of_the_log_probability(opened):
    framed = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)  # the largest of equal pixels has no slope
    target = np.array([3, 1, 4])
    found = evidence.saliency(opened, framed, target)
    assert found.shape == framed.shape[:3]
    y, x = np.unravel_index(found[0].argmax(), found[0].shape)
    step = np.zeros_like(framed)
    step[0, y, x] = 1e-3
    log_prob = jax.jit(opened.log_prob)
    slope = (log_prob(framed + step) - log_prob(framed - step))[0, target[0]] / 2e-3
    assert abs(float(slope)) == pytest.approx(found[0, y, x], rel=0.01)


def test_a_faint_image_has_no_outline_and_no_warning(tmp_path):
    images = np.stack([np.full((8, 8), 0.2), np.eye(8)])
    with canvas.drawn(tmp_path / "a.png", 3, 3) as figure:
        panels = figure.subplots(3, 2)
        evidence.show(panels, images, images, images)
    assert [len(panel.collections) for panel in panels[1]] == [0, 1]


def test_occlusion_is_what_a_square_of_paper_costs(opened, images):
    framed, target = np.asarray(opened.framed(images)), np.array([3, 1, 4])
    found = evidence.occlusion(opened, framed, target)
    assert found.shape == framed.shape[:3]
    log_prob = jax.jit(opened.log_prob)
    for y, x in ((10, 12), (0, 0)):
        covered = framed.copy()
        covered[:, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 0
        fall = (log_prob(framed) - log_prob(covered))[np.arange(3), target]
        np.testing.assert_allclose(found[:, y, x], fall, atol=1e-4)
    assert np.abs(found).max() > 0.01


def test_the_map_keeps_neighbours_together_and_is_the_same_every_time():
    draw = np.random.default_rng(0)
    vectors = np.concatenate([draw.normal(place, 0.1, (40, 20)) for place in (-3, 0, 3)]).astype(np.float32)
    places = embedding.t_sne(vectors)
    group = np.repeat(np.arange(3), 40)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    nearest = np.argsort(distance, axis=1)[:, 1:6]
    assert (group[nearest] == group[:, None]).mean() > 0.99
    np.testing.assert_array_equal(embedding.t_sne(vectors), places)


def test_a_few_images_have_a_map_too():
    assert embedding.t_sne(np.eye(4, dtype=np.float32)).shape == (4, 2)
