"""What is exported runs anywhere: without the kernels of the machine that exports it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.inference import predictor
from hwr_jax.models.kernels import calls


@pytest.mark.parametrize("portable", [True, False])
def test_programs_to_export_have_no_kernels_of_this_machine(begun, kernel, portable):
    bound, _ = predictor.open_run(begun, portable=portable)
    model = bound.recipe.model
    variables = jax.eval_shape(lambda key: model.init(key, (1, 28, 28, 1)), jax.random.key(0))
    program = jax.jit(lambda v, image: model.apply(v, image)[0]).lower(variables, np.zeros((2, 28, 28, 1), np.float32))
    assert (calls.CONVOLUTION in program.as_text()) != portable


def test_portable_programs_compute_the_same(begun, kernel):
    image = jnp.asarray(np.random.default_rng(0).random((3, 28, 28, 1), np.float32))
    models = [predictor.open_run(begun, portable=portable)[0].recipe.model for portable in (True, False)]
    variables = models[0].init(jax.random.key(0), image.shape)
    ours, theirs = (jax.jit(model.apply)(variables, image)[0] for model in models)
    assert float(jnp.abs(ours - theirs).max()) <= 2e-6 * float(jnp.abs(theirs).max())  # the kernel's rounding
