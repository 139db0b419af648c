"""Matrix product whose gradient does not depend on the number of threads."""

import re
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hwr_jax.models import layers, product, products

ROOT = Path(__file__).parents[2]
CUT = [(6400, 72, 32), (9216, 25, 8), (12800, 144, 48), (256, 512, 10), (2304, 9, 256), (6272, 288, 64)]
UNEVEN = [(10_000, 144, 48), (6401, 72, 32), (257, 800, 10)]  # 80 to 400 pieces; primes
WHOLE = [(128, 1200, 128), (64, 128, 10), (10, 3, 2)]  # wide, small, small
DIGESTS = f"""
import hashlib
import jax
import numpy as np
from jax import lax
from hwr_jax.models import product

def digest(x):
    return hashlib.sha256(np.asarray(x).tobytes()).hexdigest()[:16]

for rows, inputs, outputs in {[*CUT, *UNEVEN, *WHOLE, (64, 1200, 128), (500, 784, 128)]}:
    draw = np.random.default_rng(0).standard_normal
    a, kernel, b = (draw(s, dtype=np.float32) for s in ((rows, inputs), (inputs, outputs), (rows, outputs)))
    out, pull = jax.vjp(jax.jit(product.matmul), a, kernel)
    print("ours", rows, inputs, outputs, *map(digest, (out, *pull(b))))
    print("whole", rows, inputs, outputs, digest(jax.jit(lambda a, b: a.T @ b)(a, b)))
"""


def draw(shape, seed, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def drawn(rows, inputs, outputs, dtype=jnp.float32):
    return (draw(s, i, dtype) for i, s in enumerate([(rows, inputs), (inputs, outputs), (rows, outputs)]))


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [*CUT, *UNEVEN, *WHOLE])
def test_it_is_the_matrix_product_forward_and_backward(rows, inputs, outputs):
    a, kernel, upstream = drawn(rows, inputs, outputs)
    x, w, g = (np.asarray(v, np.float64) for v in (a, kernel, upstream))
    out, pull = jax.vjp(product.matmul, a, kernel)
    expected = ((x @ w, inputs), (g @ w.T, outputs), (x.T @ g, rows))  # and of how many terms each sum is
    for ours, (reference, terms) in zip((out, *pull(upstream)), expected, strict=True):
        assert ours.dtype == jnp.float32
        # Rounding errors of a sum grow as the root of its terms (Higham and Mary 2019), on any processor.
        bound = np.finfo(np.float32).eps * np.sqrt(terms)
        assert np.abs(ours - reference).max() <= bound * np.abs(reference).max()


@pytest.mark.parametrize("batch", range(1, 513))
def test_pieces_are_below_the_limit_and_whole_for_each_of_eight_devices(batch):
    for places, inputs, outputs in ((100, 144, 48), (576, 25, 16), (49, 288, 64), (1, 800, 10), (144, 25, 8)):
        rows, count = batch * places, product.pieces(batch * places, inputs, outputs)
        limit = product.PIECE if outputs >= product.NARROW else product.PIECE // 2
        assert -(-rows // count) * inputs * outputs <= limit
        if count > 1:
            assert batch % 8 or count % 8 == 0


@pytest.mark.parametrize(("rows", "inputs", "outputs"), WHOLE)
def test_wide_and_small_products_are_not_cut(rows, inputs, outputs):
    assert product.pieces(rows, inputs, outputs) == 1


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="threads of the CPU")
def test_no_bit_depends_on_the_number_of_threads(caches, warm, tmp_path):
    (tmp_path / "digests.py").write_text(DIGESTS)

    def digests(threads):
        env = {**caches, "NPROC": str(threads), "XLA_FLAGS": ""}  # eight devices have eight threads
        done = warm.run("digests", [], env=env, cwd=tmp_path, timeout=300)
        assert done.returncode == 0, done.stderr
        return [[one for one in done.stdout.splitlines() if one.startswith(kind)] for kind in ("ours", "whole")]

    ours, whole = digests(2)
    assert len(set(ours)) == len(CUT) + len(UNEVEN) + len(WHOLE) + 2
    others = {threads: digests(threads) for threads in (3, 4, 6, 8)}
    for found, _ in others.values():
        assert found == ours
    assert any(found != whole for _, found in others.values()), "XLA's own does not depend on it: why do we cut?"


def test_sums_of_bfloat16_are_float32():
    a, kernel, upstream = drawn(6400, 72, 32, jnp.bfloat16)

    def of_kernel(a, kernel, upstream):
        return jax.vjp(product.matmul, a, kernel)[1](upstream)[1]

    assert of_kernel(a, kernel, upstream).dtype == jnp.bfloat16
    sums = str(jax.make_jaxpr(of_kernel)(a, kernel, upstream)).split("dot_general[")[1:]
    assert any("preferred_element_type=float32" in line and "(([1], [1]), ([0], [0]))" in line for line in sums)


@pytest.mark.parametrize("shape", [(5, 12), (2, 3, 12)])
def test_a_dense_layer_is_that_of_flax(shape):
    x, ours, flax = draw(shape, 0), layers.Dense(7), nn.Dense(7)
    params = ours.init(jax.random.key(1), x)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), params, flax.init(jax.random.key(1), x)))
    np.testing.assert_allclose(ours.apply(params, x), flax.apply(params, x), atol=1e-6)


def test_attention_is_that_of_flax():
    x, ours, flax = draw((2, 9, 12), 0), products.attention("plain")(3), nn.MultiHeadDotProductAttention(3)
    params = ours.init(jax.random.key(1), x)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), params, flax.init(jax.random.key(1), x)))
    np.testing.assert_allclose(ours.apply(params, x), flax.apply(params, x), atol=1e-5)


def test_no_network_has_a_layer_that_bypasses_it():
    for path in (ROOT / "hwr_jax" / "models").glob("*.py"):
        if path.name != "layers.py":
            assert not re.search(r"nn\.(Dense|DenseGeneral|\w*Attention)\(", path.read_text()), path


def test_another_contraction_is_that_of_lax():
    a, b = draw((4, 5, 6), 0), draw((4, 6, 3), 1)
    numbers = (((2,), (1,)), ((0,), (0,)))
    assert (product.dot_general(a, b, numbers) == lax.dot_general(a, b, numbers)).all()
