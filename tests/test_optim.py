"""Optimisers and schedules, each against its closed form in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax import optim
from hwr_jax.errors import ConfigError

GRADS = np.random.default_rng(0).standard_normal((4, 3, 2))
START = np.random.default_rng(1).standard_normal((3, 2))
RATE, M, B1, B2, EPS = 0.1, 0.9, 0.9, 0.999, 1e-8


def walk(config, grads=GRADS, rate=RATE):
    """The kernel after each update."""
    transformation = optim.make_optimizer(config.optim, lambda step: rate)
    params = {"kernel": jnp.asarray(START, jnp.float32), "bias": jnp.ones(2)}
    state, path = transformation.init(params), []
    for grad in grads:
        grad = {"kernel": jnp.asarray(grad, jnp.float32), "bias": jnp.zeros(2)}
        updates, state = transformation.update(grad, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        path.append(np.asarray(params["kernel"], np.float64))
    return np.array(path), np.asarray(params["bias"])


def by_hand(direction, decay=0.0):
    path, w = [], START.copy()
    for t, grad in enumerate(GRADS, 1):
        w = w - RATE * (direction(t, grad) + decay * w)
        path.append(w)
    return np.array(path)


def momentum(nesterov):
    velocity = np.zeros_like(START)

    def direction(_, grad):
        nonlocal velocity
        velocity = grad + M * velocity
        return grad + M * velocity if nesterov else velocity

    return direction


def rmsprop():
    square = np.zeros_like(START)

    def direction(_, grad):
        nonlocal square
        square = B2 * square + (1 - B2) * grad**2
        return grad / (np.sqrt(square + EPS))

    return direction


def adam():
    mean, square = np.zeros_like(START), np.zeros_like(START)

    def direction(t, grad):
        nonlocal mean, square
        mean, square = B1 * mean + (1 - B1) * grad, B2 * square + (1 - B2) * grad**2
        return (mean / (1 - B1**t)) / (np.sqrt(square / (1 - B2**t)) + EPS)

    return direction


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("sgd", lambda t, grad: grad),
        ("momentum", momentum(False)),
        ("nesterov", momentum(True)),
        ("rmsprop", rmsprop()),
        ("adam", adam()),
        ("adamw", adam()),
    ],
)
def test_an_optimiser_follows_its_formula(smoke, name, direction):
    decay = 0.3 if name == "adamw" else 0.0
    path, bias = walk(smoke(optim__name=name, optim__weight_decay=decay))
    np.testing.assert_allclose(path, by_hand(direction, decay), rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(bias, 1)


def test_every_optimiser_is_tested_above():
    assert set(optim.OPTIMIZERS) == {"sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"}


@pytest.mark.parametrize(("key", "penalty"), [("l2", lambda w: 0.3 * w), ("l1", lambda w: 0.3 * np.sign(w))])
def test_a_penalty_is_added_to_the_gradient_of_kernels_alone(smoke, key, penalty):
    path, bias = walk(smoke(optim__name="sgd", optim__weight_decay=0.0, **{f"optim__{key}": 0.3}), GRADS[:1])
    np.testing.assert_allclose(path[0], START - RATE * (GRADS[0] + penalty(START)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bias, 1)


def test_clipping_bounds_the_global_norm_of_the_gradient(smoke):
    path, _ = walk(smoke(optim__name="sgd", optim__weight_decay=0.0, optim__clip_norm=0.5), GRADS[:1])
    clipped = GRADS[0] * 0.5 / np.linalg.norm(GRADS[0])
    np.testing.assert_allclose(path[0], START - RATE * clipped, rtol=1e-5, atol=1e-6)


def test_adam_with_decoupled_decay_is_told_its_name(smoke):
    with pytest.raises(ConfigError, match="use adamw, or config.optim.l2"):
        walk(smoke(optim__name="adam", optim__weight_decay=0.1))


@pytest.fixture(autouse=True)
def _standard_promotion():
    """Optax's schedules need it; so `steps.update` calls them under it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def schedule(smoke, epochs=10, steps_per_epoch=20, **keys):
    config = smoke(**{f"schedule__{k}": v for k, v in keys.items()}).schedule
    return optim.make_schedule(config, peak=0.5, epochs=epochs, steps_per_epoch=steps_per_epoch)


def test_the_constant_schedule_is_constant(smoke):
    assert {float(schedule(smoke, name="constant")(i)) for i in (0, 50, 199)} == {0.5}


def test_the_step_schedule_drops_every_so_many_epochs(smoke):
    rate = schedule(smoke, name="step", step_epochs=2.0, decay=0.1)
    np.testing.assert_allclose([rate(i) for i in (0, 39, 40, 80)], [0.5, 0.5, 0.05, 0.005], rtol=1e-5)


def test_the_cosine_schedule_follows_its_formula(smoke):
    rate = schedule(smoke, name="cosine", final=0.1)
    steps = np.array([0, 30, 100, 200])
    expected = 0.5 * (0.1 + 0.9 * (1 + np.cos(np.pi * steps / 200)) / 2)
    np.testing.assert_allclose([rate(int(i)) for i in steps], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["constant", "step", "cosine"])
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


@pytest.mark.parametrize("name", optim.SCHEDULES)
@pytest.mark.parametrize("steps_per_epoch", [1, 2])
def test_a_run_of_one_or_two_steps_has_finite_rates(smoke, name, steps_per_epoch):
    rate = schedule(smoke, name=name, epochs=1, steps_per_epoch=steps_per_epoch)
    values = np.array([rate(i) for i in range(steps_per_epoch)])
    assert np.all(np.isfinite(values))
    assert np.all((values >= 0) & (values <= 0.5))


def test_a_warm_up_as_long_as_the_run_is_refused(smoke):
    with pytest.raises(ConfigError, match="config.schedule.warmup_epochs=10.0 must be less than config.epochs=10"):
        schedule(smoke, name="cosine", warmup_epochs=10.0)
