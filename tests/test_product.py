"""Matrix product whose gradient hangs on no number of threads."""

import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hwr_jax.models import layers, product

SHAPES = [(6400, 72, 32), (9216, 25, 8), (12800, 144, 48), (256, 512, 10), (2304, 9, 256), (25088, 288, 32)]
DIGESTS = f"""
import hashlib
import jax
import numpy as np
from hwr_jax.models import product

for rows, inputs, outputs in {SHAPES}:
    draw = np.random.default_rng(0).standard_normal
    a, b = (draw((rows, n), dtype=np.float32) for n in (inputs, outputs))
    kernel = np.zeros((inputs, outputs), np.float32)
    gradient = jax.jit(lambda a, b, kernel: jax.vjp(product.matmul, a, kernel)[1](b)[1])(a, b, kernel)
    print(hashlib.sha256(np.asarray(gradient).tobytes()).hexdigest())
"""


def draw(shape, seed, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def gradients(multiply, rows, kernel, upstream):
    out, pull = jax.vjp(multiply, rows, kernel)
    return out, *pull(upstream)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [*SHAPES, (6401, 72, 32), (10, 3, 2), (512, 800, 128)])
def test_it_is_the_matrix_product_forward_and_backward(rows, inputs, outputs):
    a, kernel, upstream = draw((rows, inputs), 0), draw((inputs, outputs), 1), draw((rows, outputs), 2)
    exact = [np.asarray(x, np.float64) for x in (a, kernel, upstream)]
    expected = exact[0] @ exact[1], exact[2] @ exact[1].T, exact[0].T @ exact[2]
    for ours, reference in zip(gradients(product.matmul, a, kernel, upstream), expected, strict=True):
        assert ours.dtype == jnp.float32
        assert np.abs(ours - reference).max() <= 1e-6 * np.abs(reference).max()


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_the_pieces_are_equal_small_and_whole_for_each_of_eight_devices(rows, inputs, outputs):
    count = product.pieces(rows, inputs, outputs)
    assert count > 1
    assert count % 8 == 0
    assert rows % count == 0
    assert rows // count * inputs * outputs <= product.PIECE


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"),
    [(128, 1200, 128), (64, 128, 10), (10, 3, 2), (100_003, 72, 32)],  # wide; small; small; a prime number of rows
)
def test_other_products_are_not_cut(rows, inputs, outputs):
    assert product.pieces(rows, inputs, outputs) == 1


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="threads of the CPU")
def test_the_bits_of_the_gradient_hang_on_no_number_of_threads():
    def digests(threads):
        env = {**os.environ, "NPROC": str(threads), "XLA_FLAGS": ""}  # eight virtual devices have eight threads
        done = subprocess.run([sys.executable, "-c", DIGESTS], capture_output=True, text=True, env=env, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    of_two = digests(2)
    assert len(set(of_two)) == len(SHAPES)
    assert digests(4) == of_two
    assert digests(8) == of_two


def test_sums_of_bfloat16_are_float32():
    rows, inputs, outputs = 6400, 72, 32
    a, kernel = draw((rows, inputs), 0, jnp.bfloat16), draw((inputs, outputs), 1, jnp.bfloat16)
    upstream = draw((rows, outputs), 2, jnp.bfloat16)
    ours = gradients(product.matmul, a, kernel, upstream)[2]
    reference = np.asarray(a.astype(jnp.float32), np.float64).T @ np.asarray(upstream.astype(jnp.float32), np.float64)
    assert ours.dtype == jnp.bfloat16
    assert np.abs(np.asarray(ours.astype(jnp.float32)) - reference).max() <= 2**-8 * np.abs(reference).max()


@pytest.mark.parametrize("shape", [(5, 12), (2, 3, 12)])
def test_a_dense_layer_is_that_of_flax(shape):
    x, ours, flax = draw(shape, 0), layers.Dense(7), nn.Dense(7)
    params = ours.init(jax.random.key(1), x)
    theirs = flax.init(jax.random.key(1), x)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), params, theirs))
    np.testing.assert_allclose(ours.apply(params, x), flax.apply(params, x), atol=1e-6)


def test_another_contraction_is_that_of_lax():
    a, b = draw((4, 5, 6), 0), draw((4, 6, 3), 1)
    numbers = (((2,), (1,)), ((0,), (0,)))
    assert (product.dot_general(a, b, numbers) == lax.dot_general(a, b, numbers)).all()
