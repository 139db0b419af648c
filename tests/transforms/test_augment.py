"""Augmentation: each map the identity at zero strength, and equal to scipy.ndimage or its definition in NumPy."""

import ast
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from hwr_jax.config import configs
from hwr_jax.transforms import augment, pen

IMAGE = ndimage.gaussian_filter(np.random.default_rng(0).random((28, 28)), 1.5).astype(np.float32)
ZERO = {"shift_px": 0.0, "rotate_deg": 0.0, "scale": 0.0, "shear_deg": 0.0}
ZERO |= {"perspective": 0.0, "elastic_px": 0.0, "elastic_smooth_px": 4.0}
FULL = {**ZERO, "shift_px": 3.0, "rotate_deg": 20.0, "scale": 0.2, "shear_deg": 10.0}


def amounts(key, strength):
    """What the augmentation draws for a key, in its own units and radians."""
    limit = [strength["shift_px"]] * 2 + [np.deg2rad(strength["rotate_deg"]), strength["scale"]]
    draw = np.asarray(jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0), np.float64)
    return draw * [*limit, np.deg2rad(strength["shear_deg"])]


def test_zero_strength_is_the_identity_to_the_bit():
    out = augment.warp(jax.random.key(0), jnp.asarray(IMAGE)[..., None], **ZERO)
    np.testing.assert_array_equal(out[..., 0], IMAGE)


@pytest.mark.parametrize("strength", [{**ZERO, k: v} for k, v in FULL.items() if v] + [FULL])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_equals_scipy(strength, seed):
    key = jax.random.key(seed)
    shift_y, shift_x, angle, grow, shear = amounts(key, strength)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / (1 + grow)
    matrix = np.array([[1, 0], [np.tan(shear), 1]]) @ rotate
    centre = np.array([13.5, 13.5])
    offset = centre - matrix @ (centre + [shift_y, shift_x])
    expected = ndimage.affine_transform(IMAGE.astype(np.float64), matrix, offset, order=1, mode="grid-constant")
    out = jax.jit(functools.partial(augment.warp, **strength))(key, jnp.asarray(IMAGE)[..., None])
    np.testing.assert_allclose(out[..., 0], expected, atol=1e-5)


def test_ink_never_comes_in_from_outside():
    out = augment.warp(jax.random.key(3), jnp.ones((28, 28, 1)), **{**ZERO, "shift_px": 14.0})
    assert float(out.min()) == 0.0
    assert float(out.max()) <= 1.0


def test_two_keys_give_two_images():
    image = jnp.asarray(IMAGE)[..., None]
    a, b = (augment.warp(jax.random.key(i), image, **FULL) for i in (0, 1))
    assert float(jnp.abs(a - b).max()) > 0.05


KEY = jax.random.key(7)
INK = IMAGE / IMAGE.max()
INK3 = jnp.asarray(INK)[..., None]


@pytest.mark.parametrize("seed", [0, 1])
def test_perspective_is_a_division_by_depth(seed):
    key = jax.random.key(seed)
    tilt = np.asarray(jax.random.uniform(jax.random.fold_in(key, 1), (2,), jnp.float32, -0.3, 0.3))
    y, x = np.mgrid[:28, :28] - 13.5
    depth = 1 + tilt[0] * y / 14 + tilt[1] * x / 14
    expected = ndimage.map_coordinates(INK, [y / depth + 13.5, x / depth + 13.5], order=1, mode="grid-constant")
    out = augment.warp(key, INK3, **{**ZERO, "perspective": 0.3})
    np.testing.assert_allclose(out[..., 0], expected, atol=1e-4)


def test_elastic_displacements_are_smooth_and_of_the_configured_size():
    x = np.tile(np.arange(28, dtype=np.float32), (28, 1))
    ramp = jnp.asarray(x)[..., None] / 28  # the value tells where a point came from
    keys = jax.vmap(jax.random.key)(jnp.arange(200))
    out = jax.jit(jax.vmap(lambda key: augment.warp(key, ramp, **{**ZERO, "elastic_px": 1.5})))(keys)
    inner = (np.asarray(out[..., 0]) * 28 - x)[:, 8:20, 8:20]
    assert abs(inner.mean()) < 0.15
    np.testing.assert_allclose(inner.std(), 1.5, rtol=0.08)
    neighbours = np.corrcoef(inner[..., :-1].ravel(), inner[..., 1:].ravel())[0, 1]
    np.testing.assert_allclose(neighbours, np.exp(-1 / (4 * 4.0**2)), atol=0.01)  # of white noise after the Gaussian


@pytest.mark.parametrize("seed", range(4))
def test_thickness_goes_towards_the_grey_dilation_or_erosion(seed):
    key = jax.random.key(seed)
    u = float(jax.random.uniform(key, (), jnp.float32, -0.8, 0.8))
    morph = ndimage.grey_dilation if u > 0 else ndimage.grey_erosion
    other = morph(INK, size=(3, 3), mode="constant", cval=0.0)
    expected = (1 - abs(u)) * INK + abs(u) * other
    np.testing.assert_allclose(pen.thickness(key, INK3, 0.8)[..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_blur_is_that_of_scipy(seed):
    key = jax.random.key(seed)
    sigma = float(jax.random.uniform(key, (), jnp.float32, 0.0, 2.0))
    expected = ndimage.gaussian_filter(INK.astype(np.float64), sigma, mode="constant", truncate=27 / sigma)
    np.testing.assert_allclose(pen.blur(key, INK3, 2.0)[..., 0], expected, atol=1e-5)


def test_light_stretches_about_the_mean_and_adds():
    stretch, add = np.asarray(jax.random.uniform(KEY, (2,), jnp.float32, -1.0, 1.0)) * [0.4, 0.2]
    expected = np.clip(INK.mean() + (1 + stretch) * (INK - INK.mean()) + add, 0, 1)
    np.testing.assert_allclose(pen.light(KEY, INK3, brightness=0.2, contrast=0.4)[..., 0], expected, atol=1e-5)


def test_inversion_happens_as_often_as_asked():
    out = jax.vmap(lambda key: pen.invert(key, INK3, 0.3))(jax.random.split(KEY, 2000))
    inverted = np.abs(np.asarray(out) - (1 - INK[..., None])).max((1, 2, 3)) < 1e-6
    kept = np.abs(np.asarray(out) - INK[..., None]).max((1, 2, 3)) < 1e-6
    assert np.all(inverted ^ kept)
    assert abs(inverted.mean() - 0.3) < 0.04


def test_a_background_is_an_enlarged_grid_under_the_ink():
    grid = np.asarray(jax.random.uniform(KEY, (4, 4), jnp.float32, 0.0, 0.6))
    grey = ndimage.zoom(grid, 7, order=1, mode="nearest", grid_mode=False)
    out = np.asarray(pen.background(KEY, INK3, 0.6))[..., 0]
    np.testing.assert_allclose(out, INK + (1 - INK) * grey, atol=1e-5)


def test_lines_are_straight_and_of_their_width():
    y, x = np.mgrid[:28, :28] - 13.5
    drawn, angle, offset, wide, grey = np.asarray(jax.random.uniform(KEY, (5, 3)), np.float64)
    expected = np.zeros((28, 28))
    for i in range(3):
        if drawn[i] < 0.5:
            away = np.abs(x * np.cos(np.pi * angle[i]) + y * np.sin(np.pi * angle[i]) - 28 * (offset[i] - 0.5))
            expected = np.maximum(expected, grey[i] * np.clip((1 + wide[i]) / 2 + 0.5 - away, 0, 1))
    assert expected.max() > 0
    np.testing.assert_allclose(pen.lines(KEY, jnp.zeros((28, 28, 1)), 3)[..., 0], expected, atol=1e-4)
    assert float(jnp.min(pen.lines(KEY, INK3, 3) - INK3)) >= 0


def test_noise_has_its_deviation_and_stays_in_range():
    grey = jnp.full((100, 100, 1), 0.5)
    out = np.asarray(pen.noise(KEY, grey, 0.1))
    np.testing.assert_allclose([out.mean(), out.std()], [0.5, 0.1], rtol=0.03)
    assert pen.noise(KEY, grey, 5.0).min() == 0.0
    assert pen.noise(KEY, grey, 5.0).max() == 1.0


def test_salt_and_pepper_take_their_share_in_equal_parts():
    out = np.asarray(pen.salt_pepper(KEY, jnp.full((100, 100, 1), 0.5), 0.2))
    np.testing.assert_allclose([(out == 0).mean(), (out == 1).mean(), (out == 0.5).mean()], [0.1, 0.1, 0.8], atol=0.01)


def test_grain_is_noise_of_a_drawn_deviation():
    grey = jnp.full((100, 100, 1), 0.5)
    stds = [float(pen.grain(jax.random.key(i), grey, 0.2).std()) for i in range(40)]
    assert min(stds) < 0.04 < 0.16 < max(stds) < 0.21
    np.testing.assert_allclose(np.mean(stds), 0.1, rtol=0.25)


@pytest.mark.parametrize("seed", range(4))
def test_a_smear_is_a_blur_along_one_axis(seed):
    key = jax.random.key(seed)
    along = float(jax.random.uniform(key, (), jnp.float32, -2.5, 2.5))
    expected = ndimage.gaussian_filter1d(INK, abs(along), axis=0 if along > 0 else 1, mode="constant", truncate=12)
    np.testing.assert_allclose(pen.smear(key, INK3, 2.5)[..., 0], expected, atol=1e-3)


def test_blots_are_discs_of_ink_and_of_paper():
    y, x = np.mgrid[:28, :28]
    drawn, down, across, radius, grey = np.asarray(jax.random.uniform(KEY, (5, 12)), np.float64)
    expected = np.array(INK, np.float64)
    discs = [
        g * np.clip(1 + 2 * r - np.hypot(y - 27 * d, x - 27 * a), 0, 1)
        for d, a, r, g in zip(down, across, radius, grey, strict=True)
    ]
    ink = [disc for disc, u in zip(discs, drawn, strict=True) if u < 0.25]
    holes = [disc for disc, u in zip(discs, drawn, strict=True) if 0.25 <= u < 0.5]
    assert ink
    assert holes
    expected = np.maximum(expected, np.max(ink, axis=0)) * (1 - np.max(holes, axis=0))
    np.testing.assert_allclose(pen.blots(KEY, INK3, 12)[..., 0], expected, atol=1e-4)


def test_neighbours_are_at_the_sides_alone():
    digit = jnp.zeros((28, 28, 1)).at[4:24, 9:19].set(1.0)
    out = np.asarray(jax.vmap(lambda key: pen.neighbours(key, digit, 8))(jax.random.split(KEY, 200)))[..., 0]
    np.testing.assert_array_equal(out[:, :, 8:20], np.broadcast_to(digit[:, 8:20, 0], (200, 28, 12)))
    left, right = out[:, :, :8].max((1, 2)) > 0, out[:, :, 20:].max((1, 2)) > 0
    assert 0.3 < left.mean() < 1
    assert 0.3 < right.mean() < 1
    assert (left != right).any()


def test_skipping_leaves_out_each_map_as_often_as_asked():
    zero = {k: v for k, v in strengths().items() if k not in augment.MIX}
    one = {**zero, "invert": 1.0, "skip": 0.7}
    keys = jax.random.split(KEY, 400)
    out = jax.vmap(lambda key: augment.augment(key, INK3, **one))(keys)
    inverted = np.asarray(jnp.abs(out - (1 - INK3)[None]).max((1, 2, 3)) < 1e-6)
    same = np.asarray(jnp.abs(out - INK3[None]).max((1, 2, 3)) == 0)
    assert (inverted | same).all()
    np.testing.assert_allclose(same.mean(), 0.7, atol=0.07)
    both = {**one, "salt_pepper": 0.5}
    mixed = jax.vmap(lambda key: augment.augment(key, INK3, **both))(keys)
    speckled = np.asarray(((mixed == 0) | (mixed == 1)).mean((1, 2, 3)) > 0.3)
    np.testing.assert_allclose(speckled.mean(), 0.3, atol=0.07)
    np.testing.assert_allclose((speckled & inverted).mean(), 0.09, atol=0.05)  # the maps are drawn one by one


@pytest.mark.parametrize("side", [1, 5, 8, 28])
def test_a_cutout_is_one_square_cut_by_the_edge(side):
    middle = np.asarray(jax.random.randint(KEY, (2,), 0, jnp.array([28, 28])))
    expected = np.ones((28, 28))
    top, left = np.maximum(middle - side // 2, 0)
    expected[top : middle[0] - side // 2 + side, left : middle[1] - side // 2 + side] = 0
    np.testing.assert_array_equal(pen.cutout(KEY, jnp.ones((28, 28, 1)), side)[..., 0], expected)


def batch():
    return jax.random.uniform(KEY, (64, 28, 28, 1)), jnp.arange(64, dtype=jnp.int32), jax.random.split(KEY, 64)


def test_mixup_is_a_weighted_mean_with_the_next_example(optimised):
    image, label, keys = batch()
    mixed = jax.jit(functools.partial(augment.mix, mixup=0.7, cutmix=0.0))(keys, image, label)
    drawn = jax.jit(jax.vmap(lambda key: jax.random.beta(jax.random.fold_in(key, 1), 0.7, 0.7)))(keys)
    np.testing.assert_allclose(mixed.share, drawn, rtol=1e-5)  # a float32 mean of 784 weights, all the same
    share = np.asarray(drawn)[:, None, None, None]
    np.testing.assert_allclose(mixed.image, share * image + (1 - share) * np.roll(image, -1, axis=0), atol=1e-6)
    np.testing.assert_array_equal(mixed.partner, np.roll(label, -1))
    assert 0.3 < share.mean() < 0.7
    np.testing.assert_allclose(share.var(), 1 / (4 * (2 * 0.7 + 1)), rtol=0.35)  # of Beta(0.7, 0.7)


def test_cutmix_has_a_box_of_the_partner_and_shares_by_area():
    image, label, keys = batch()
    mixed = augment.mix(keys, image, label, mixup=0.0, cutmix=1.0)
    other = np.roll(image, -1, axis=0)
    inside = np.asarray(mixed.image) == other
    assert np.all(inside | (np.asarray(mixed.image) == image))
    np.testing.assert_allclose(mixed.share, 1 - inside.mean((1, 2, 3)), atol=1e-3)
    for one in inside[..., 0]:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert one.sum() == rows.size * columns.size


def test_with_both_each_picture_takes_one_of_them():
    image, label, keys = batch()
    both = augment.mix(keys, image, label, mixup=1.0, cutmix=1.0)
    cut = np.all((np.asarray(both.image) == image) | (np.asarray(both.image) == np.roll(image, -1, 0)), axis=(1, 2, 3))
    assert 0.25 < cut.mean() < 0.75


def strengths(**changed):
    made = configs.load(Path(__file__).parents[2] / "configs" / "digits.py").augment.to_dict()
    return {**dict.fromkeys(made, 0), "elastic_smooth_px": 4.0, **changed}


def test_the_random_streams_of_the_maps_never_change():
    assert {key: one.stream for one in augment.PEN for key in one.strengths} == {
        "thickness": 10, "lines": 11, "background": 12, "blur_px": 13, "brightness": 14, "contrast": 14, "invert": 15,
        "noise": 16, "salt_pepper": 17, "cutout_px": 18, "blots": 19, "smear_px": 20, "neighbours_px": 21, "grain": 22,
    }  # fmt: skip


def test_each_key_of_the_config_is_of_one_map():
    keys = [*augment.GEOMETRY, *(key for one in augment.PEN for key in one.strengths), *augment.MIX, augment.SKIP]
    assert sorted(keys) == sorted(strengths())


def test_all_together_are_the_identity_at_zero_and_stay_in_range_at_full_strength():
    zero = {k: v for k, v in strengths().items() if k not in augment.MIX}
    np.testing.assert_array_equal(augment.augment(KEY, INK3, **zero), INK3)
    full = {
        **zero, "shift_px": 3.0, "rotate_deg": 20.0, "scale": 0.2, "shear_deg": 10.0, "perspective": 0.2,
        "elastic_px": 1.0, "thickness": 1.0, "lines": 3, "background": 0.5, "blur_px": 1.0, "brightness": 0.3,
        "contrast": 0.5, "invert": 0.5, "noise": 0.2, "salt_pepper": 0.1, "cutout_px": 8, "blots": 5,
        "smear_px": 2.0, "neighbours_px": 6, "grain": 0.2,
    }  # fmt: skip
    out = jax.jit(jax.vmap(lambda key: augment.augment(key, INK3, **full)))(jax.random.split(KEY, 50))
    assert out.shape == (50, 28, 28, 1)
    assert bool(jnp.all((out >= 0) & (out <= 1)))
    for name, value in full.items():
        if value and name != "elastic_smooth_px":
            alone = [augment.augment(jax.random.key(i), INK3, **{**zero, name: value}) for i in range(8)]
            assert max(float(jnp.abs(image - INK3).max()) for image in alone) > 0.01, name


def test_the_gallery_shows_every_map():
    """STRENGTHS of scripts/augmentation_gallery.py, which draws experiments/augmentation.png."""
    text = (Path(__file__).parents[2] / "scripts" / "augmentation_gallery.py").read_text()
    shown = next(
        ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "STRENGTHS"
    )
    assert set(shown) == {key for key in augment.RANGES if key not in (*augment.MIX, *augment.SHAPES)}
    assert all(value and augment.RANGES[key].holds(value) for key, value in shown.items())
