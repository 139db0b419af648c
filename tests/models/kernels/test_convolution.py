"""The compiled convolution: right for any shape, and the same bits for any number of threads and way to call it."""

import ctypes

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from hwr_jax.config import configs
from hwr_jax.config.check import check
from hwr_jax.core.errors import ConfigError
from hwr_jax.models import convolution
from hwr_jax.models.kernels import build, reference
from hwr_jax.models.kernels import convolution as compiled

NHWC = convolution.NHWC
pytestmark = pytest.mark.usefixtures("kernel")


def alone(what, left, right, shape, out):
    """One convolution by one thread, without XLA."""
    found = np.full(out, np.nan, np.float32)
    pointers = (ctypes.c_void_p(a.ctypes.data) for a in (left, right, np.array(shape, np.int64), found))
    build.kernel().library.HwrConvolve(ctypes.c_int64(what), *pointers)
    return found


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 20),
    size=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    channels=st.integers(1, 70),
    features=st.integers(1, 70),
    side=st.sampled_from([1, 2, 3, 3, 3, 4, 5, 7]),
    stride=st.sampled_from([1, 1, 2]),
    same=st.booleans(),
    seed=st.integers(0, 100),
)
def test_it_equals_sums_in_float64_for_any_shape(batch, size, channels, features, side, stride, same, seed):
    padding = (side - 1) // 2 if same else 0
    height, width = (max(v, side) for v in size)
    down, across = ((v + 2 * padding - side) // stride + 1 for v in (height, width))
    draw = np.random.default_rng(seed).standard_normal
    image = draw((batch, height, width, channels), np.float32)
    weights = draw((side, side, channels, features), np.float32)
    gradient = draw((batch, down, across, features), np.float32)
    shape = [*image.shape, down, across, features, side, side, stride, stride, padding, padding]
    wanted = reference.convolution(image, weights, gradient, stride, padding)
    for what, (left, right) in enumerate(((image, weights), (weights, gradient), (image, gradient))):
        found = alone(what, left, right, shape, wanted[what].shape)
        assert np.abs(found - wanted[what]).max() <= 1e-5 * np.abs(wanted[what]).max()


@pytest.mark.parametrize("features", [1, 6, 8, 11, 16, 20, 24, 33])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_an_image_of_one_channel_and_any_width_gives_sums_in_float64(features, stride):
    draw = np.random.default_rng(0).standard_normal
    for width, side in ((width, side) for width in range(1, 31) for side in (1, 3, 5) if width + 2 >= side):
        down, across = ((v + 2 - side) // stride + 1 for v in (4, width))
        image, weights = draw((2, 4, width, 1), np.float32), draw((side, side, 1, features), np.float32)
        gradient = np.zeros((2, down, across, features), np.float32)
        shape = [*image.shape, down, across, features, side, side, stride, stride, 1, 1]
        wanted = reference.convolution(image, weights, gradient, stride, 1)[compiled.FORWARD]
        found = alone(compiled.FORWARD, image, weights, shape, gradient.shape)
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_the_gradient_of_a_large_batch_is_no_less_exact():
    draw = np.random.default_rng(0).standard_normal
    image, gradient = (draw((400, 14, 14, 33), np.float32) for _ in range(2))
    shape = [*image.shape, *gradient.shape[1:], 3, 3, 1, 1, 1, 1]
    weights = np.zeros((3, 3, 33, 33), np.float32)
    wanted = reference.convolution(image, weights, gradient, 1, 1)[compiled.KERNEL_GRADIENT]
    found = alone(compiled.KERNEL_GRADIENT, image, gradient, shape, weights.shape)
    assert np.abs(found - wanted).max() <= 4e-6 * np.abs(wanted).max()


def drawn(channels=16, features=24, side=3, batch=32):
    image = jax.random.normal(jax.random.key(0), (batch, 8, 8, channels))
    return image, jax.random.normal(jax.random.key(1), (side, side, channels, features))


def result_and_gradients(convolve=compiled.convolve, stride=1, padding="SAME"):
    def run(image, kernel):
        def loss(image, kernel):
            out = convolve(image, kernel, (stride, stride), padding, dimension_numbers=NHWC)
            return jnp.sum(jnp.sin(out)), out

        grads, out = jax.grad(loss, argnums=(0, 1), has_aux=True)(image, kernel)
        return out, *grads

    return run


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("channels", "features", "side", "stride"), [(16, 24, 3, 1), (72, 64, 3, 1), (16, 24, 3, 2), (1, 8, 5, 1)]
)
def test_xla_s_threads_and_a_single_one_give_the_same_bits(channels, features, side, stride):
    image, kernel = (np.asarray(x) for x in drawn(channels, features, side))
    jitted = jax.jit(lambda a, b: compiled.convolve(a, b, (stride, stride), "VALID", dimension_numbers=NHWC))
    out, vjp = jax.vjp(jitted, image, kernel)
    gradient = np.array(jax.random.normal(jax.random.key(2), out.shape))
    of_image, of_kernel = vjp(jnp.asarray(gradient))
    shape = [*image.shape, *out.shape[1:], side, side, stride, stride, 0, 0]
    assert same((out,), (alone(compiled.FORWARD, image, kernel, shape, out.shape),))
    assert same((of_image,), (alone(compiled.IMAGE_GRADIENT, kernel, gradient, shape, image.shape),))
    assert same((of_kernel,), (alone(compiled.KERNEL_GRADIENT, image, gradient, shape, kernel.shape),))


FEW = [  # height, width, channels, features, kernel side, stride, padding
    (4, 4, 24, 40, 3, 1, 1),  # a single tile
    (7, 7, 9, 33, 3, 1, 1),
    (9, 4, 16, 11, 3, 1, 0),
    (14, 13, 40, 64, 3, 1, 1),
    (9, 9, 1, 16, 5, 1, 0),
    (8, 29, 1, 6, 5, 1, 2),
    (12, 13, 1, 24, 3, 2, 1),
    (8, 8, 16, 72, 3, 2, 1),
    (8, 7, 24, 40, 1, 2, 0),
    (1, 1, 80, 73, 1, 1, 0),  # a dense layer
    (1, 1, 33, 8, 1, 1, 0),
]


@pytest.mark.parametrize("layer", FEW)
def test_an_image_gives_the_same_bits_alone_and_in_a_batch_of_any_size(layer):
    *size, channels, features, side, stride, padding = layer
    draw = np.random.default_rng(0).standard_normal
    image, kernel = draw((200, *size, channels), np.float32), draw((side, side, channels, features), np.float32)
    pads = ((padding, padding), (padding, padding))
    many = compiled.convolve(image, kernel, (stride, stride), pads, dimension_numbers=NHWC)
    for batch in (1, 2, 3, 5, 12, 50):
        few = compiled.convolve(image[:batch], kernel, (stride, stride), pads, dimension_numbers=NHWC)
        shape = [*image[:batch].shape, *few.shape[1:], side, side, stride, stride, padding, padding]
        assert same((few,), (many[:batch],))
        assert same((few,), (alone(compiled.FORWARD, image[:batch], kernel, shape, few.shape),))


def test_it_gives_the_same_bits_in_a_loop_and_for_each_of_several_seeds():
    image, kernel = drawn()
    once = jax.jit(result_and_gradients())(image, kernel)
    both = jnp.stack([image, image + 1]), jnp.stack([kernel, kernel - 1])
    over = jax.jit(jax.vmap(result_and_gradients()))(*both)
    shared = jax.jit(jax.vmap(result_and_gradients(), in_axes=(0, None)))(both[0], kernel)
    mapped = jax.jit(lambda a, b: jax.lax.map(lambda one: result_and_gradients()(*one), (a, b)))(*both)
    for found in (over, shared, mapped):
        assert same(once, [x[0] for x in found])
    assert same([x[1] for x in over], [x[1] for x in mapped])
    assert not same(once, [x[1] for x in over])


@pytest.mark.parametrize("seeds", [None, 2])
def test_devices_share_a_batch_and_add_up_the_kernel_s_gradient(seeds):
    if jax.device_count() < 8:
        pytest.fail("the tests run on eight virtual devices")
    image, kernel = drawn()
    run, axes = result_and_gradients(), ("data",)
    if seeds:
        image, kernel, run, axes = jnp.stack([image] * 2), jnp.stack([kernel] * 2), jax.vmap(run), ("seed", "data")
    wanted = jax.jit(run)(image, kernel)
    mesh = jax.make_mesh((8,) if not seeds else (2, 4), axes, axis_types=(AxisType.Auto,) * len(axes))
    image = jax.device_put(image, NamedSharding(mesh, PartitionSpec(*axes)))
    kernel = jax.device_put(kernel, NamedSharding(mesh, PartitionSpec(*axes[:-1])))
    program = jax.jit(run).lower(image, kernel).compile()
    found = program(image, kernel)
    assert found[1].sharding.spec == PartitionSpec(*axes)
    assert "all-gather" not in program.as_text()  # each device computes its own images
    assert same(found[:2], wanted[:2])
    assert float(jnp.abs(found[2] - wanted[2]).max()) <= 2e-6 * float(jnp.abs(wanted[2]).max())


def test_under_pmap_each_device_computes_its_own():
    image, kernel = drawn()
    wanted = jax.jit(result_and_gradients())(image[:4], kernel)
    found = jax.pmap(result_and_gradients(), in_axes=(0, None))(image.reshape(8, 4, *image.shape[1:]), kernel)
    assert same(wanted, [x[0] for x in found])


@pytest.mark.parametrize(
    ("image", "taps", "padding"),
    [
        ((2, 8, 9, 8), (3, 3, 8, 9), ((-1, 0), (0, -2))),
        ((0, 8, 8, 8), (3, 3, 8, 8), "VALID"),
        ((2, 2, 2, 72), (3, 3, 72, 64), "VALID"),
        ((2, 3, 3, 1), (7, 7, 1, 4), "VALID"),
        ((2, 5, 1, 3), (1, 7, 3, 4), "SAME"),
        ((2, 1, 6, 3), (7, 1, 3, 4), "SAME"),
        ((1, 1, 1, 9), (3, 3, 9, 9), "SAME"),
    ],
)
def test_odd_shapes_give_what_xla_gives(image, taps, padding):
    image, kernel = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate((image, taps)))
    ours = jax.jit(result_and_gradients(padding=padding))(image, kernel)
    native = jax.jit(result_and_gradients(jax.lax.conv_general_dilated, padding=padding))(image, kernel)
    for mine, its in zip(ours, native, strict=True):
        assert mine.shape == its.shape
        assert np.abs(mine - its).max(initial=0) <= 1e-5 * np.abs(its).max(initial=1e-9)


def test_another_dtype_is_refused():
    image, kernel = drawn()
    with pytest.raises(NotImplementedError, match="takes float32, not bfloat16 and float32"):
        compiled.convolve(image.astype(jnp.bfloat16), kernel, (1, 1), "SAME", dimension_numbers=NHWC)


def test_a_config_with_another_precision_is_refused():
    overrides = {"model.convolution": "compiled", "model.precision": "bfloat16"}
    with pytest.raises(ConfigError, match="computes in float32 alone, not in bfloat16: use"):
        check(configs.load("configs/cnn.py", overrides))


def test_a_batch_that_the_devices_do_not_divide_is_computed_by_each_of_them_whole():
    image, kernel = drawn(batch=12)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))

    def run(image, kernel):
        image = jax.lax.with_sharding_constraint(image, NamedSharding(mesh, PartitionSpec("data")))  # XLA pads to 16
        return result_and_gradients()(image, kernel)

    wanted = jax.jit(result_and_gradients())(image, kernel)
    for mine, its in zip(jax.jit(run)(image, kernel), wanted, strict=True):
        assert float(jnp.abs(mine - its).max()) <= 2e-6 * float(jnp.abs(its).max())
