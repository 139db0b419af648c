"""The cost of a program: the bytes before and after fusion, against those counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.steps import cost

N = 100_000  # values of 4 bytes


def chain(x):
    return jnp.sqrt(x * x + x)


def test_fused_operations_pass_their_values_on_and_touch_memory_only_at_the_ends():
    flops, before, after = cost._cost(jax.make_jaxpr(chain)(np.ones(N, np.float32)), compiled=True)
    assert flops == pytest.approx(2 * N, rel=0.01)  # XLA counts the root as a transcendental
    assert before == pytest.approx(4 * N * (2 + 1 + 2 + 1 + 1 + 1), rel=0.15)  # each operation reads and writes
    assert after == pytest.approx(4 * N * 2, rel=0.01)


def test_a_scan_counts_as_often_as_it_runs_and_nothing_is_compiled_unless_asked():
    def rolled(length):
        many = jax.make_jaxpr(lambda x: jax.lax.scan(lambda c, _: (chain(c), None), x, length=length)[0])
        return cost._cost(many(np.ones(N, np.float32)), compiled=length != 7)

    (_, before_3, after_3), (_, before_9, after_9) = rolled(3), rolled(9)
    assert before_9 / before_3 == pytest.approx(3, rel=0.3)
    assert after_9 - after_3 == pytest.approx(6 * 8 * N, rel=0.02)
    assert rolled(7)[2] == 0
