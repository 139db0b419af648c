"""The compiled recurrent layers: right for any shape, with the same bits for any number of threads."""

import ctypes

import flax.linen as nn
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
from hwr_jax.models import recurrence
from hwr_jax.models.kernels import build, calls, recurrent, reference
from hwr_jax.steps.cost import step_cost
from hwr_jax.steps.run import make_run

pytestmark = pytest.mark.usefixtures("kernel")


def arguments(cell, batch, steps, values, directions, width, seed=0):
    """x, both factors, the bias, and a gradient of the output; the factors' products are of the size of a bias."""
    draw = np.random.default_rng(seed).standard_normal
    sizes = len(reference.GATES[cell]), len(reference.OF_INPUTS[cell])
    factors = [draw((directions, n, sizes[1], width), np.float32) / np.float32(n**0.5) for n in (values, width)]
    x, bias = draw((batch, steps, values), np.float32), draw((directions, sizes[0], width), np.float32)
    return x, *factors, bias, draw((batch, steps, directions, width), np.float32)


def alone(cell, given):
    """The output and the gradients by one thread, without XLA; the width is a multiple of 16."""
    x, _, state, _, _ = given
    sizes = np.array([1, *x.shape, len(state), state.shape[1]], np.int64)
    shapes = (given[4].shape, (x.shape[0], len(state), *x.shape[1:]), *(a.shape for a in given[1:4]))
    found = [np.full(shape, np.nan, np.float32) for shape in shapes]
    pointers = (ctypes.c_void_p(a.ctypes.data) for a in (*given, sizes, *found))
    build.kernel().library.HwrReadAlone(ctypes.c_int64(recurrent.CELLS.index(cell)), *pointers)
    out, of_x, *others = found
    total = of_x[:, 0]
    for one in of_x.swapaxes(0, 1)[1:]:
        total = total + one
    return out, total, *others


def close(found, wanted, limit=1e-5):
    for a, b in zip(found, wanted, strict=True):
        assert np.abs(a - b).max() <= limit * np.abs(b).max()


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    cell=st.sampled_from(recurrent.CELLS),
    batch=st.integers(1, 60),
    steps=st.integers(1, 12),
    values=st.integers(1, 40),
    directions=st.integers(1, 2),
    width=st.sampled_from([16, 32, 48, 64]),
    seed=st.integers(0, 100),
)
def test_it_equals_a_layer_in_float64_for_any_shape(cell, batch, steps, values, directions, width, seed):
    given = arguments(cell, batch, steps, values, directions, width, seed)
    close(alone(cell, given), reference.recurrent(cell, *given))


@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_the_reference_is_the_definition_and_its_gradients_are_those_of_finite_differences(cell):
    given = [a.astype(np.float64) for a in arguments(cell, 3, 4, 5, 2, 6)]
    _, *gradients = reference.recurrent(cell, *given)
    for which, gradient in enumerate(gradients):
        direction = np.random.default_rng(which).standard_normal(gradient.shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = list(given)
            moved[which] = given[which] + step * direction
            # The reference computes in float64 whatever it is given, so differences are exact to nine digits.
            values.append((reference.recurrent(cell, *moved)[0] * given[4]).sum())
        assert (values[0] - values[1]) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-6)


def test_large_sums_saturate_and_what_is_not_finite_stays_so():
    x, *others = arguments("lstm", 2, 3, 4, 1, 16)
    close(alone("lstm", (100 * x, *others))[:1], reference.recurrent("lstm", 100 * x, *others)[:1], 1e-4)
    assert np.isfinite(np.concatenate([a.ravel() for a in alone("lstm", (np.float32(1e30) * x, *others))])).all()
    x[0, 1, 2] = np.nan
    out = alone("lstm", (x, *others))[0]
    assert np.isnan(out[0, 1:]).all()
    assert np.isfinite(out[0, 0]).all()
    assert np.isfinite(out[1]).all()


def test_the_gradients_of_a_large_batch_are_no_less_exact():
    given = arguments("lstm", 700, 6, 20, 1, 32)
    close(alone("lstm", given), reference.recurrent("lstm", *given), 2e-6)


@pytest.mark.parametrize("values", [5, 16, 24])
def test_an_example_has_the_same_bits_alone_and_among_others(values):
    given = arguments("gru", 31, 4, values, 2, 16)
    out, of_x, *_ = alone("gru", given)
    for i in (0, 23, 24, 30):
        own = alone("gru", [a if which in (1, 2, 3) else a[i : i + 1] for which, a in enumerate(given)])
        assert same(own[:2], (out[i : i + 1], of_x[i : i + 1]))


def result_and_gradients(cell):
    def run(x, *others):
        def loss(*given):
            out = recurrent.read(*given, cell=cell)
            return jnp.sum(jnp.sin(out)), out

        gradients, out = jax.grad(loss, argnums=(0, 1, 2, 3), has_aux=True)(x, *others)
        return out, *gradients

    return run


@pytest.mark.parametrize("cell", recurrent.CELLS)
def test_xla_s_threads_and_a_single_one_give_the_same_bits(cell):
    *given, of_out = arguments(cell, 70, 5, 9, 2, 32)
    out, vjp = jax.vjp(jax.jit(lambda *a: recurrent.read(*a, cell=cell)), *map(jnp.asarray, given))
    assert same((out, *vjp(jnp.asarray(of_out))), alone(cell, (*given, of_out)))


def test_a_width_that_is_no_multiple_of_a_vector_s_is_padded_by_units_that_stay_zero():
    *given, of_out = arguments("gru", 5, 4, 3, 2, 21)
    out, vjp = jax.vjp(lambda *a: recurrent.read(*a, cell="gru"), *map(jnp.asarray, given))
    close((out, *vjp(jnp.asarray(of_out))), reference.recurrent("gru", *given, of_out))


def test_it_gives_the_same_bits_in_a_loop_and_for_each_of_several_seeds():
    run = result_and_gradients("lstm")
    given = [jnp.asarray(a) for a in arguments("lstm", 30, 4, 5, 2, 16)[:4]]
    once = jax.jit(run)(*given)
    both = [jnp.stack([a, a * 2]) for a in given]
    over = jax.jit(jax.vmap(run))(*both)
    mapped = jax.jit(lambda *a: jax.lax.map(lambda one: run(*one), a))(*both)
    for found in (over, mapped):
        assert same(once, [a[0] for a in found])
    assert same([a[1] for a in over], [a[1] for a in mapped])
    assert not same(once, [a[1] for a in over])


@pytest.mark.parametrize("seeds", [None, 2])
def test_devices_share_a_batch_and_add_up_the_factors_gradients(seeds):
    if jax.device_count() < 8:
        pytest.fail("the tests run on eight virtual devices")
    run, axes = result_and_gradients("gru"), ("data",)
    x, *others = (jnp.asarray(a) for a in arguments("gru", 32, 4, 5, 2, 16)[:4])
    if seeds:
        x, others, run, axes = jnp.stack([x] * 2), [jnp.stack([a] * 2) for a in others], jax.vmap(run), ("seed", "data")
    wanted = jax.jit(run)(x, *others)
    mesh = jax.make_mesh((8,) if not seeds else (2, 4), axes, axis_types=(AxisType.Auto,) * len(axes))
    x = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*axes)))
    others = [jax.device_put(a, NamedSharding(mesh, PartitionSpec(*axes[:-1]))) for a in others]
    program = jax.jit(run).lower(x, *others).compile()
    found = program(x, *others)
    assert "all-gather" not in program.as_text()  # each device reads its own examples
    assert same(found[:2], wanted[:2])
    close(found[2:], wanted[2:], 2e-6)


def test_another_dtype_is_refused():
    given = [jnp.asarray(a, jnp.bfloat16) for a in arguments("lstm", 2, 2, 2, 1, 16)[:4]]
    with pytest.raises(NotImplementedError, match="the compiled recurrent layer takes float32, not bfloat16"):
        recurrent.read(*given, cell="lstm")


def test_a_gradient_of_the_input_that_nobody_wants_is_not_computed():
    x, *others = (jnp.asarray(a) for a in arguments("lstm", 3, 4, 5, 1, 16)[:4])

    def shapes(argnums):
        text = str(
            jax.make_jaxpr(jax.grad(lambda *a: recurrent.read(*a, cell="lstm").sum(), argnums=argnums))(x, *others)
        )
        return "f32[1,3,1,4,5]" in text

    assert shapes((0, 1))
    assert not shapes((1,))


class Layer(nn.Module):
    """A recurrent layer as the networks call it."""

    cell: str
    how: str

    @nn.compact
    def __call__(self, x):
        """[B, T, C] -> [B, T, 2 * width]."""
        return recurrence.recurrent(x, cell=self.cell, width=13, bidirectional=True, dtype=x.dtype, how=self.how)


@pytest.mark.parametrize("cell", sorted(recurrence.CELLS))
def test_it_is_flax_s_layer_with_the_same_parameters(cell):
    x = jax.random.normal(jax.random.key(0), (4, 5, 3))
    ours, theirs = (Layer(cell, how) for how in ("compiled", "scan"))
    variables = theirs.init(jax.random.key(1), x)
    own = ours.init(jax.random.key(1), x)
    assert jax.tree.structure(own) == jax.tree.structure(variables)
    assert same(jax.tree.leaves(own), jax.tree.leaves(variables))
    moved = jax.tree.map(lambda a: a + 0.1 * jnp.sin(jnp.arange(a.size)).reshape(a.shape), variables)  # biases too

    def trained(layer):
        def loss(variables, x):
            out = layer.apply(variables, x)
            return jnp.sum(jnp.sin(out)), out

        gradients, out = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(moved, x)
        return jax.tree.leaves((out, gradients))

    close(*map(trained, (ours, theirs)))


def test_its_flops_are_those_of_the_products(kernel, digits):
    def flops(how):
        changed = {"model.name": "rnn", "model.width": 32, "model.bidirectional": True, "model.recurrence": how}
        run = make_run(configs.load("configs/digits.py:smoke", changed), digits, devices=1)
        return step_cost(run.recipe, run.state_shapes(), digits.train).flops_per_image

    assert 0.85 * flops("scan") < flops("compiled") < flops("scan")  # XLA counts single values too


def test_auto_is_the_fastest_that_the_machine_has(monkeypatch):
    assert recurrence.chosen("auto", train=True) == "compiled"
    assert recurrence.chosen("auto", train=True, precision="bfloat16") == "scan"
    monkeypatch.setattr(calls, "available", lambda: False)
    monkeypatch.setattr(calls, "what", lambda: "no C++ compiler is installed")
    assert recurrence.chosen("auto", train=True) == recurrence.chosen("compiled", train=False) == "scan"
    with pytest.raises(ConfigError, match=r"recurrence=compiled is not possible here \(no C\+\+ compiler is installed"):
        recurrence.chosen("compiled", train=True)


def test_a_config_that_asks_for_it_in_bfloat16_is_refused():
    changed = {"model.recurrence": "compiled", "model.precision": "bfloat16"}
    with pytest.raises(ConfigError, match="recurrence=compiled computes in float32 alone, not in bfloat16"):
        check(configs.load("configs/rnn.py", changed))
