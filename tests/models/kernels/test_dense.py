"""The gradient of a dense layer's weights by the compiled kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import product, products
from hwr_jax.models.kernels import calls, dense

CUT = [(128, 16, 64, 256), (100, 7, 49, 64), (33, 40, 61, 33)]  # B, P, m, n that XLA's gradient would cut in pieces
WHOLE = [(4, 3, 5, 6), (128, 1, 64, 10)]


def drawn(b, p, m, n):
    draw = np.random.default_rng(0).standard_normal
    return [jnp.asarray(draw(s, np.float32)) for s in ((b, p, m), (m, n), (b, p, n))]


def with_gradients(multiply, x, weights, upstream):
    out, pull = jax.vjp(multiply, x, weights)
    return (out, *pull(upstream))


@pytest.mark.parametrize("shape", [*CUT, *WHOLE])
def test_it_is_the_product_forward_and_backward(kernel, shape):
    x, weights, upstream = drawn(*shape)
    assert (product.pieces(shape[0] * shape[1], *shape[2:]) > 1) == (shape in CUT)
    a, w, g = (np.asarray(v, np.float64) for v in (x, weights, upstream))
    expected = (a @ w, g @ w.T, np.einsum("bpm,bpn->mn", a, g))
    for ours, reference in zip(with_gradients(dense.matmul, x, weights, upstream), expected, strict=True):
        assert ours.dtype == jnp.float32
        assert np.abs(ours - reference).max() <= 1e-5 * np.abs(reference).max()


@pytest.mark.parametrize("shape", CUT)
def test_the_kernel_computes_it_where_xla_would_cut_it_and_there_alone(kernel, shape):
    def text(shape):
        x, weights, upstream = drawn(*shape)
        return jax.jit(lambda *v: with_gradients(dense.matmul, *v)).lower(x, weights, upstream).as_text()

    assert calls.CONVOLUTION in text(shape)
    assert all(calls.CONVOLUTION not in text(shape) for shape in WHOLE)


def test_seeds_at_once_equal_single_ones_to_the_bit(kernel):
    several = [jnp.stack([v, 2 * v + 1]) for v in drawn(*CUT[0])]
    found = jax.jit(jax.vmap(lambda *v: with_gradients(dense.matmul, *v)[2]))(*several)
    one = jax.jit(lambda *v: with_gradients(dense.matmul, *v)[2])
    for seed in range(2):
        np.testing.assert_array_equal(found[seed], one(*(v[seed] for v in several)))


@pytest.mark.parametrize("layer", ["attention", "dense_layer"])
def test_a_layer_is_flax_s_with_the_same_parameters(kernel, layer):
    x = drawn(64, 16, 64, 64)[0]
    size = 4 if layer == "attention" else 256
    plain, ours = (getattr(products, layer)(how)(size) for how in ("plain", "compiled"))
    variables = plain.init(jax.random.key(0), x)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), variables, ours.init(jax.random.key(0), x)))

    def gradient(module):
        return jax.jit(jax.grad(lambda v: jnp.sum(jnp.square(module.apply(v, x)))))(variables)

    for a, b in zip(*(jax.tree.leaves(gradient(module)) for module in (plain, ours)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(a).max()))


def test_auto_is_the_fastest_that_the_machine_has(kernel, monkeypatch):
    assert products.chosen("auto", train=True) == "compiled"
    assert products.chosen("auto", train=True, precision="bfloat16") == "plain"
    assert {products.chosen(name, train=False) for name in products.CHOICES} == {"plain"}
    monkeypatch.setattr(calls, "available", lambda: False)
    monkeypatch.setattr(calls, "what", lambda: "no C++ compiler is installed")
    assert products.chosen("auto", train=True) == "plain"
    with pytest.raises(ConfigError, match=r"products=compiled is not possible here \(no C\+\+ compiler"):
        products.chosen("compiled", train=True)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert products.chosen("auto", train=True) == "plain"
