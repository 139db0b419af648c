"""The affine augmentation, against scipy.ndimage."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from hwr_jax import augment

IMAGE = ndimage.gaussian_filter(np.random.default_rng(0).random((28, 28)), 1.5).astype(np.float32)
ZERO = {"shift_px": 0.0, "rotate_deg": 0.0, "scale": 0.0, "shear_deg": 0.0}
FULL = {"shift_px": 3.0, "rotate_deg": 20.0, "scale": 0.2, "shear_deg": 10.0}


def amounts(key, strength):
    """What the augmentation draws for a key, in its own units and radians."""
    limit = [strength["shift_px"]] * 2 + [np.deg2rad(strength["rotate_deg"]), strength["scale"]]
    draw = np.asarray(jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0), np.float64)
    return draw * [*limit, np.deg2rad(strength["shear_deg"])]


def test_zero_strength_is_the_identity_to_the_bit():
    out = augment.affine(jax.random.key(0), jnp.asarray(IMAGE)[..., None], **ZERO)
    np.testing.assert_array_equal(out[..., 0], IMAGE)


@pytest.mark.parametrize("strength", [{**ZERO, k: v} for k, v in FULL.items()] + [FULL])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_equals_scipy(strength, seed):
    key = jax.random.key(seed)
    shift_y, shift_x, angle, grow, shear = amounts(key, strength)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / (1 + grow)
    matrix = np.array([[1, 0], [np.tan(shear), 1]]) @ rotate
    centre = np.array([13.5, 13.5])
    offset = centre - matrix @ (centre + [shift_y, shift_x])
    expected = ndimage.affine_transform(IMAGE.astype(np.float64), matrix, offset, order=1, mode="grid-constant")
    out = jax.jit(functools.partial(augment.affine, **strength))(key, jnp.asarray(IMAGE)[..., None])
    np.testing.assert_allclose(out[..., 0], expected, atol=1e-5)


def test_ink_never_comes_in_from_outside():
    out = augment.affine(
        jax.random.key(3), jnp.ones((28, 28, 1)), shift_px=14.0, rotate_deg=0.0, scale=0.0, shear_deg=0.0
    )
    assert float(out.min()) == 0.0
    assert float(out.max()) <= 1.0


def test_two_keys_give_two_images():
    image = jnp.asarray(IMAGE)[..., None]
    a, b = (augment.affine(jax.random.key(i), image, **FULL) for i in (0, 1))
    assert float(jnp.abs(a - b).max()) > 0.05
