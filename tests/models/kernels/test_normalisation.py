"""Batch normalisation by the kernel: right for any shape, Flax's to rounding, the same bits however it is called."""

import ctypes

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from hwr_jax.models import layers
from hwr_jax.models.kernels import build, normalisation

pytestmark = pytest.mark.usefixtures("kernel")


def alone(a, b, shift):
    """Both sums of a, b [B, P, C] by one thread, without XLA."""
    found = np.full((2, a.shape[-1]), np.nan, np.float32)
    arrays = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, shift)]
    sizes = [ctypes.c_int64(n) for n in a.shape]
    build.kernel().library.HwrSum(*arrays, *sizes, *(ctypes.c_void_p(x.ctypes.data) for x in found))
    return found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(batch=st.integers(1, 40), rows=st.integers(1, 90), channels=st.integers(1, 100), seed=st.integers(0, 100))
def test_it_equals_sums_in_float64_for_any_shape(batch, rows, channels, seed):
    draw = np.random.default_rng(seed).standard_normal
    a, b, shift = (
        draw((batch, rows, channels), np.float32),
        draw((batch, rows, channels), np.float32),
        draw(channels, np.float32),
    )
    found = alone(a, b, shift)
    left, right = a.astype(np.float64), b.astype(np.float64) - shift
    for mine, terms in zip(found, (left, left * right), strict=True):
        assert (np.abs(mine - terms.sum((0, 1))) <= 1e-6 * np.abs(terms).sum((0, 1))).all()


def drawn(batch=32):
    x = jax.random.normal(jax.random.key(0), (batch, 9, 7, 24)) * 2 + 1
    return x, {"scale": jnp.linspace(0.5, 2, 24), "bias": jnp.linspace(-1, 1, 24)}


def trained(module):
    """Returns the function of x and the parameters to the output, the new statistics and both gradients."""

    def run(x, params):
        stats = {"mean": jnp.zeros(24), "var": jnp.ones(24)}

        def loss(x, params):
            out, updated = module.apply({"params": params, "batch_stats": stats}, x, mutable=["batch_stats"])
            return jnp.sum(jnp.sin(out)), (out, updated["batch_stats"])

        grads, kept = jax.grad(loss, argnums=(0, 1), has_aux=True)(x, params)
        return *kept, *grads

    return run


def options(training=True, axis_name=None):
    return {"use_running_average": not training, "momentum": 0.9, "epsilon": 1e-5, "axis_name": axis_name}


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def close(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-5 * float(np.abs(y).max()))


def test_it_is_flax_s_in_training_with_its_gradients_and_statistics():
    close(*(jax.jit(trained(kind(**options())))(*drawn()) for kind in (layers.BatchNorm, nn.BatchNorm)))


def test_it_is_flax_s_in_evaluation():
    x, params = drawn()
    stats = {"mean": jnp.linspace(0, 1, 24), "var": jnp.linspace(1, 3, 24)}
    ours, theirs = (
        kind(**options(training=False)).apply({"params": params, "batch_stats": stats}, x)
        for kind in (layers.BatchNorm, nn.BatchNorm)
    )
    close(ours, theirs)


def test_its_variables_have_flax_s_names_and_beginning():
    x, _ = drawn()
    ours, theirs = (layers.Norm("batch", None, compiled).init(jax.random.key(0), x, True) for compiled in (True, False))
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    assert same(ours, theirs)


def test_its_gradient_is_that_of_finite_differences():
    x, params = drawn(batch=2)
    direction = jax.random.normal(jax.random.key(3), x.shape)
    run = trained(layers.BatchNorm(**options()))

    def loss(x):
        return float(np.sum(np.sin(np.asarray(run(x, params)[0], np.float64))))

    numeric = (loss(x + 1e-2 * direction) - loss(x - 1e-2 * direction)) / 2e-2
    assert numeric == pytest.approx(float(jnp.sum(run(x, params)[2] * direction)), rel=2e-3)


def test_xla_s_threads_and_a_single_one_give_the_same_bits():
    x, _ = drawn()
    shift = np.linspace(-1, 1, 24, dtype=np.float32)
    found = jax.jit(normalisation._sums)(x, x * 2, shift)
    rows = np.asarray(x).reshape(32, 63, 24)
    assert same(found, tuple(alone(rows, np.asarray(x * 2).reshape(rows.shape), shift)))


def test_it_gives_the_same_bits_in_a_loop_and_for_each_of_several_seeds():
    x, params = drawn()
    run = trained(layers.BatchNorm(**options()))
    once = jax.jit(run)(x, params)
    both = jnp.stack([x, x * 3]), jax.tree.map(lambda p: jnp.stack([p, p + 1]), params)
    over, shared = jax.jit(jax.vmap(run))(*both), jax.jit(jax.vmap(run, in_axes=(0, None)))(both[0], params)
    mapped = jax.jit(lambda *a: jax.lax.map(lambda one: run(*one), a))(*both)
    for found in (over, shared, mapped):
        assert same(once, jax.tree.map(lambda x: x[0], found))
    assert not same(once, jax.tree.map(lambda x: x[1], over))


@pytest.mark.parametrize("seeds", [None, 2])
def test_devices_share_a_batch_and_have_the_statistics_of_all(seeds):
    if jax.device_count() < 8:
        pytest.fail("the tests run on eight virtual devices")
    x, params = drawn()
    run, axes = trained(layers.BatchNorm(**options())), ("data",)
    if seeds:
        x, params, run, axes = (
            jnp.stack([x] * 2), jax.tree.map(lambda p: jnp.stack([p] * 2), params), jax.vmap(run), ("seed", "data"),
        )  # fmt: skip
    wanted = jax.jit(run)(x, params)
    mesh = jax.make_mesh((8,) if not seeds else (2, 4), axes, axis_types=(AxisType.Auto,) * len(axes))
    x = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*axes)))
    params = jax.device_put(params, NamedSharding(mesh, PartitionSpec(*axes[:-1])))
    program = jax.jit(run).lower(x, params).compile()
    assert "all-gather" not in program.as_text()  # each device reads its own images
    close(program(x, params), wanted)


def test_under_pmap_the_devices_have_the_statistics_of_all():
    x, params = drawn()
    out, stats, of_x, _ = jax.jit(trained(nn.BatchNorm(**options())))(x, params)
    parts = x.reshape(8, 4, *x.shape[1:])
    run = trained(layers.BatchNorm(**options(axis_name="data")))
    found = jax.pmap(run, axis_name="data", in_axes=(0, None))(parts, params)
    close(found[0].reshape(x.shape), out)
    close(jax.tree.map(lambda s: s[5], found[1]), stats)
    close(found[2].reshape(x.shape), of_x)
