"""Measurements: what they count, and whether the reference they compare with is right."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.benchmarks import measure
from hwr_jax.models import convolution
from hwr_jax.models.kernels import calls
from hwr_jax.steps.cost import step_cost
from hwr_jax.steps.run import make_run


def test_the_first_call_is_not_counted():
    calls = []

    def call():
        calls.append(time.perf_counter())
        time.sleep(0.3 if len(calls) == 1 else 0.01)
        return jnp.zeros(())

    found = measure.seconds(call, repeats=3)
    assert len(calls) == 4
    assert found.shape == (3,)
    assert (found >= 0.01).all()
    assert found.max() < 0.3


def test_the_reference_of_the_convolution_is_its_definition():
    draw = np.random.default_rng(0)
    image, weights = draw.normal(size=(2, 6, 7, 3)), draw.normal(size=(3, 2, 3, 4))
    out, of_image, of_weights = measure._reference(image, weights)
    expected = np.zeros((2, 4, 6, 4))
    for y in range(4):
        for x in range(6):
            expected[:, y, x] = np.einsum("bijc,ijcf->bf", image[:, y : y + 3, x : x + 2], weights)
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    # Half the sum of squares is of degree two in each argument, so each gradient times its argument gives twice it.
    np.testing.assert_allclose([(of_image * image).sum(), (of_weights * weights).sum()], (out**2).sum(), rtol=1e-12)


def test_every_convolution_is_timed_and_exact_in_both_gradients():
    here = {name for name in convolution.CONVOLUTIONS if name != "compiled" or calls.available()}
    found = measure.convolutions((4, 8, 8, 3), (3, 3, 3, 5), calls=2, which=tuple(here))
    assert set(found) == here
    for one in found.values():
        assert 0 < one["max_relative_error"] < 1e-5
        assert one["alone_s"] > 0
        assert one["in_loop_s"] > 0


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_the_compiled_convolution_counts_as_many_flops_as_xla_s_own(kernel, smoke, digits, name):
    def flops(convolution):
        changed = {"model__name": name, "model__features": (8, 16), "model__convolution": convolution}
        run = make_run(smoke(**changed), digits, devices=1)
        return step_cost(run.recipe, run.state_shapes(), digits.train).flops_per_image

    assert flops("compiled") == pytest.approx(flops("native"), rel=1e-4)


def test_the_cost_of_a_step_grows_with_the_width_and_counts_images(smoke, digits):
    def flops(**overrides):
        run = make_run(smoke(**overrides), digits, devices=1)
        return step_cost(run.recipe, run.state_shapes(), digits.train).flops_per_image

    narrow, wide = flops(model__features=(4, 8), model__dense=8), flops(model__features=(8, 16), model__dense=8)
    forward = 2 * (24 * 24 * 25 * 4 + 10 * 10 * 36 * 8 + 200 * 8 + 80)
    assert 2 * forward < narrow < 6 * forward
    assert wide > 1.8 * narrow
    assert flops(batch_size=64, model__dense=8) == pytest.approx(flops(batch_size=32, model__dense=8), rel=0.05)


def test_training_and_inference_are_measured(smoke, digits):
    found = measure.training(smoke(seeds=2), digits, steps=3, repeats=2, devices=1)
    assert found["quartiles"][0] <= found["images_per_second"] <= found["quartiles"][1]
    assert found["gflops"] == pytest.approx(found["images_per_second"] * found["flops_per_image"] / 1e9)
    assert found["fused_flops_per_byte"] > 1.5 * found["flops_per_byte"]
    one = measure.inference(smoke(seeds=2), digits, batch=3, calls=5)
    assert one["p50_s"] <= one["p99_s"]
    assert one["images_per_second"] == pytest.approx(3 / one["p50_s"])


def test_a_few_images_are_not_padded_to_a_whole_batch(smoke, digits):
    run = make_run(smoke(eval__batch_size=100), digits, devices=1)
    state = run.state_shapes()

    def flops(images):
        some = jax.eval_shape(lambda: jax.tree.map(lambda x: jnp.zeros((images, *x.shape[1:]), x.dtype), digits.test))
        analysis = run.programs.predict.lower(state.params, state.model_state, some).compile().cost_analysis()
        return analysis["flops"]

    assert flops(1) < flops(50) / 10
