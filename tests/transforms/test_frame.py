"""Framing: deskew, centre, crop and resize, against scipy.ndimage and their definitions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.steps import predict_step, train_step
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.transforms import frame

OFF = {"deskew": False, "centre": False, "crop_px": 0, "side_px": 0}


def stroke(lean=0.5):
    """A leaning stroke off the middle, float32 [28, 28, 1]."""
    y, x = np.mgrid[:28, :28].astype(np.float32)
    away = np.abs(x - 12 - lean * (y - 11)) + np.maximum(np.abs(y - 11) - 6, 0)
    return np.clip(2.5 - away, 0, 1)[..., None].astype(np.float32)


def moments(image):
    """Centre of mass (y, x) and the mixed second moment."""
    ink = np.asarray(image, np.float64)[..., 0]
    centre = ndimage.center_of_mass(ink)
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
    return centre, float((ink * (y - centre[0]) * (x - centre[1])).sum() / ink.sum())


def test_off_is_the_identity_to_the_bit():
    np.testing.assert_array_equal(frame.frame(jnp.asarray(stroke()), **OFF), stroke())


@pytest.mark.parametrize("lean", [-0.6, 0.4])
def test_deskew_takes_the_lean_and_keeps_the_place(lean):
    before, after = stroke(lean), frame.frame(jnp.asarray(stroke(lean)), **{**OFF, "deskew": True})
    assert abs(moments(before)[1]) > 4
    assert abs(moments(after)[1]) < 0.1
    np.testing.assert_allclose(moments(after)[0], moments(before)[0], atol=0.05)


def test_centre_moves_the_mass_to_the_middle_and_equals_a_shift():
    out = frame.frame(jnp.asarray(stroke()), **{**OFF, "centre": True})
    np.testing.assert_allclose(moments(out)[0], [13.5, 13.5], atol=0.02)
    shift = 13.5 - np.array(moments(stroke())[0])
    expected = ndimage.shift(stroke()[..., 0], shift, order=1, mode="grid-constant")
    np.testing.assert_allclose(out[..., 0], expected, atol=1e-4)


def test_an_image_without_ink_stays_as_it_is():
    empty = jnp.zeros((28, 28, 1))
    np.testing.assert_array_equal(frame.frame(empty, **{**OFF, "deskew": True, "centre": True}), empty)


def test_crop_cuts_margins_and_resize_is_that_of_scipy():
    out = frame.frame(jnp.asarray(stroke()), **{**OFF, "crop_px": 4})
    np.testing.assert_array_equal(out, stroke()[4:-4, 4:-4])
    large = frame.frame(jnp.asarray(stroke()), **{**OFF, "side_px": 56})
    expected = ndimage.zoom(stroke()[..., 0], 2, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(large[..., 0], expected, atol=1e-5)
    small = frame.frame(jnp.asarray(stroke()), **{**OFF, "side_px": 14})
    np.testing.assert_allclose(small.sum() * 4, stroke().sum(), rtol=1e-3)  # an average keeps the mean


@pytest.mark.parametrize("side", [(28, 0, 0), (28, 3, 0), (28, 3, 16), (28, 0, 40)])
def test_the_shape_of_the_result_is_known_beforehand(side):
    whole, crop, to = side
    out = frame.frame(jnp.zeros((whole, whole + 9, 1)), **{**OFF, "crop_px": crop, "side_px": to})
    assert out.shape[:2] == frame.framed_shape_px((whole, whole + 9), crop_px=crop, side_px=to)


def test_training_and_prediction_see_the_same_frame(smoke, digits, initial):
    made = smoke(frame__centre=True, frame__crop_px=2, frame__side_px=16, model__name="mlp", model__hidden=(8,))
    recipe = make_recipe(made, examples=64, classes=10, mean=0.1, std=0.3)
    state = initial(recipe)
    assert state.params["Dense_0"]["kernel"].shape == (256, 8)
    rows = Arrays(jnp.asarray(digits.train.image[:4]), jnp.asarray(digits.train.label[:4]))
    plain = recipe._replace(augmented=False)
    batch = jax.jit(functools.partial(train_step.prepare, plain))(state, rows)
    assert batch.image.shape == (4, 16, 16, 1)
    logits, _ = jax.jit(recipe.model.apply)({"params": state.params}, batch.image)
    predict = jax.jit(functools.partial(predict_step.predict, recipe, batch_size=4))
    outputs = predict(state.params, {}, rows)
    np.testing.assert_array_equal(outputs.pred, logits.argmax(-1))


def test_a_crop_that_leaves_nothing_is_refused(smoke):
    with pytest.raises(ConfigError, match="config.frame.crop_px=14 is out of range"):
        smoke(frame__crop_px=14)
    with pytest.raises(ConfigError, match="leaves nothing of a 2x2 image"):
        make_recipe(smoke(frame__crop_px=13), examples=64, classes=10, mean=0.1, std=0.3)
