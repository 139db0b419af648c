"""Learning-rate schedules, each against its closed form."""

import jax
import numpy as np
import pytest

from hwr_jax.core.errors import ConfigError
from hwr_jax.optim import schedules


@pytest.fixture(autouse=True)
def _standard_promotion():
    """Optax's schedules need it; so `steps.update` calls them under it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def schedule(smoke, epochs=10, steps_per_epoch=20, **keys):
    config = smoke(**{f"schedule__{k}": v for k, v in keys.items()}).schedule
    return schedules.make_schedule(config, peak=0.5, epochs=epochs, steps_per_epoch=steps_per_epoch)


def test_the_constant_schedule_is_constant(smoke):
    assert {float(schedule(smoke, name="constant")(i)) for i in (0, 50, 199)} == {0.5}


def test_the_step_schedule_drops_every_step_epochs(smoke):
    rate = schedule(smoke, name="step", step_epochs=2.0, decay=0.1)
    np.testing.assert_allclose([rate(i) for i in (0, 39, 40, 80)], [0.5, 0.5, 0.05, 0.005], rtol=1e-5)


def test_the_cosine_schedule_follows_its_formula(smoke):
    rate = schedule(smoke, name="cosine", final=0.1)
    steps = np.array([0, 30, 100, 200])
    expected = 0.5 * (0.1 + 0.9 * (1 + np.cos(np.pi * steps / 200)) / 2)
    np.testing.assert_allclose([rate(int(i)) for i in steps], expected, rtol=1e-5)


def test_the_exponential_schedule_decays_a_little_each_step(smoke):
    rate = schedule(smoke, name="exponential", step_epochs=2.0, decay=0.1)
    np.testing.assert_allclose(
        [rate(i) for i in (0, 10, 40, 200)], 0.5 * 0.1 ** (np.array([0, 10, 40, 200]) / 40), rtol=1e-5
    )


def test_restarts_are_cosines_of_growing_length(smoke):
    rate = schedule(smoke, name="restarts", step_epochs=1.0, growth=3.0, final=0.2)
    steps = np.array([0, 10, 19, 20, 50, 79, 80, 170, 199])
    begin = np.array([0, 0, 0, 20, 20, 20, 80, 80, 80])
    length = np.array([20, 20, 20, 60, 60, 60, 180, 180, 180])
    expected = 0.5 * (0.2 + 0.8 * (1 + np.cos(np.pi * (steps - begin) / length)) / 2)
    np.testing.assert_allclose([rate(int(i)) for i in steps], expected, rtol=1e-5)


def test_a_restart_may_come_after_one_step(smoke):
    rate = schedule(smoke, steps_per_epoch=1, name="restarts", step_epochs=0.4, growth=2.0, final=0.0)
    np.testing.assert_allclose([rate(i) for i in (0, 1, 2, 3)], [0.5, 0.5, 0.25, 0.5], rtol=1e-5)
    rate = schedule(smoke, steps_per_epoch=1, name="restarts", step_epochs=0.4, growth=1.0, final=0.0)
    np.testing.assert_allclose([rate(i) for i in (0, 1, 2, 3)], 0.5, rtol=1e-5)


@pytest.mark.parametrize("name", ["step", "exponential"])
def test_a_rate_drops_at_every_step_at_most(smoke, name):
    rate = schedule(smoke, name=name, step_epochs=0.01, decay=0.5)
    np.testing.assert_allclose([rate(i) for i in (0, 1, 2)], [0.5, 0.25, 0.125], rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in schedules.SCHEDULES if name != "one_cycle"])
def test_a_warm_up_rises_linearly_to_the_peak(smoke, name):
    rate = schedule(smoke, name=name, warmup_epochs=1.0)
    np.testing.assert_allclose([rate(i) for i in (0, 5, 10, 20)], [0, 0.125, 0.25, 0.5], rtol=1e-5)


def test_the_one_cycle_schedule_follows_its_formula(smoke):
    rate = schedule(smoke, name="one_cycle", rise=0.25)
    low, final = 0.5 / 25, 0.5 / 25 / 1e4

    def between(a, b, share):
        return b + (a - b) * (1 + np.cos(np.pi * share)) / 2

    expected = [low, between(low, 0.5, 0.5), 0.5, between(0.5, final, 0.5), final]
    np.testing.assert_allclose([rate(i) for i in (0, 25, 50, 125, 200)], expected, rtol=1e-4)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("steps_per_epoch", [1, 2])
def test_a_run_of_one_or_two_steps_has_finite_rates(smoke, name, steps_per_epoch):
    rate = schedule(smoke, name=name, epochs=1, steps_per_epoch=steps_per_epoch)
    values = np.array([rate(i) for i in range(steps_per_epoch)])
    assert np.all(np.isfinite(values))
    assert np.all((values >= 0) & (values <= 0.5))


@pytest.mark.parametrize("epochs", [10.0, 12.0])
def test_a_warm_up_as_long_as_the_run_is_refused(smoke, epochs):
    with pytest.raises(ConfigError, match=f"config.schedule.warmup_epochs={epochs} must be less than config.epochs=10"):
        schedule(smoke, name="cosine", warmup_epochs=epochs)
