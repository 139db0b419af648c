"""Optimisers and schedules, each against its closed form in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick_runs import SMALL

from hwr_jax import models
from hwr_jax.core.errors import ConfigError
from hwr_jax.optim import optimizers
from hwr_jax.steps import run

GRADS = np.random.default_rng(0).standard_normal((4, 3, 2))
START = np.random.default_rng(1).standard_normal((3, 2))
RATE, M, B1, B2, EPS = 0.1, 0.9, 0.9, 0.999, 1e-8


def at_rate(config, rate):
    """config.optim with this learning rate."""
    own = config.copy_and_resolve_references()
    own.learning_rate = rate
    return own


def walk(config, grads=GRADS, rate=RATE):
    """The kernel after each update."""
    transformation = optimizers.make_optimizer(at_rate(config.optim, rate), lambda step: 1.0)
    params = {"kernel": jnp.asarray(START, jnp.float32), "bias": jnp.ones(2)}
    state, update, path = transformation.init(params), jax.jit(transformation.update), []
    for grad in grads:
        grad = {"kernel": jnp.asarray(grad, jnp.float32), "bias": jnp.zeros(2)}
        updates, state = update(grad, state, params)
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


def adagrad():
    total = np.zeros_like(START)

    def direction(_, grad):
        nonlocal total
        total = total + grad**2
        return grad / np.sqrt(total + EPS)

    return direction


def adadelta():
    square, moved = np.zeros_like(START), np.zeros_like(START)

    def direction(_, grad):
        nonlocal square, moved
        square = B2 * square + (1 - B2) * grad**2
        move = grad * np.sqrt(moved + EPS) / np.sqrt(square + EPS)
        moved = B2 * moved + (1 - B2) * move**2
        return move

    return direction


def lion():
    mean = np.zeros_like(START)

    def direction(_, grad):
        nonlocal mean
        sign = np.sign(B1 * mean + (1 - B1) * grad)
        mean = B2 * mean + (1 - B2) * grad
        return sign

    return direction


def muon():
    mean = np.zeros_like(START)

    def direction(t, grad):
        nonlocal mean
        mean = M * mean + (1 - M) * grad
        x = (M * mean / (1 - M ** (t + 1)) + (1 - M) * grad / (1 - M**t)).T
        x = x / (np.linalg.norm(x) + EPS)
        for _ in range(5):  # Newton-Schulz, with Jordan's coefficients
            square = x @ x.T
            x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
        return 0.2 * np.sqrt(max(START.shape)) * x.T

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
        ("adagrad", adagrad()),
        ("adadelta", adadelta()),
        ("lion", lion()),
        ("muon", muon()),
    ],
)
def test_an_optimiser_follows_its_formula(smoke, name, direction):
    decay = 0.3 if name == "adamw" else 0.0
    path, bias = walk(smoke(optim__name=name, optim__weight_decay=decay))
    np.testing.assert_allclose(path, by_hand(direction, decay), rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(bias, 1)


def test_every_optimiser_is_tested_above():
    tested = {"sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "lion", "muon"}
    assert set(optimizers.OPTIMIZERS) == tested | {"lamb"}


def test_lamb_scales_the_step_of_adam_by_the_trust_ratio_of_the_layer(smoke):
    path, _ = walk(smoke(optim__name="lamb", optim__weight_decay=0.3))
    direction, w, expected = adam(), START.copy(), []
    for t, grad in enumerate(GRADS, 1):
        step = direction(t, grad) + 0.3 * w
        w = w - RATE * np.linalg.norm(w) / np.linalg.norm(step) * step
        expected.append(w)
    np.testing.assert_allclose(path, expected, rtol=2e-5, atol=2e-6)


def test_muon_orthogonalises_convolutions_too_and_leaves_biases_to_adam(smoke):
    transformation = optimizers.make_optimizer(at_rate(smoke(optim__name="muon").optim, 1.0), lambda step: 1.0)
    params = {"kernel": jnp.zeros((3, 3, 2, 5)), "bias": jnp.zeros(4)}
    grads = {"kernel": jax.random.normal(jax.random.key(0), (3, 3, 2, 5)), "bias": jnp.array([1.0, -2.0, 3.0, -4.0])}
    updates, _ = jax.jit(transformation.update)(grads, transformation.init(params), params)
    singular = np.linalg.svd(np.asarray(updates["kernel"]).reshape(18, 5), compute_uv=False) / (0.2 * np.sqrt(18))
    assert np.all((singular > 0.5) & (singular < 1.5))
    assert np.all(np.sign(updates["bias"]) == [-1, 1, -1, 1])
    assert np.abs(updates["bias"]).max() < 3


@pytest.mark.parametrize(("key", "penalty"), [("l2", lambda w: 0.3 * w), ("l1", lambda w: 0.3 * np.sign(w))])
def test_a_penalty_is_added_to_the_gradient_of_kernels_alone(smoke, key, penalty):
    path, bias = walk(smoke(optim__name="sgd", optim__weight_decay=0.0, **{f"optim__{key}": 0.3}), GRADS[:1])
    np.testing.assert_allclose(path[0], START - RATE * (GRADS[0] + penalty(START)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bias, 1)


def test_kernels_are_known_by_their_name_and_not_by_their_axes(smoke):
    made = smoke(model__name="vit", model__width=16, model__layers=1, optim__weight_decay=0.5, optim__name="adamw")
    model = models.make(made.model, classes=10)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), (1, 28, 28, 1)))["params"]
    ones, zeros = (jax.tree.map(lambda p, v=v: np.full(p.shape, v, p.dtype), shapes) for v in (1, 0))
    for name in ("adamw", "muon"):
        made.optim.name = name
        transformation = optimizers.make_optimizer(at_rate(made.optim, 1.0), lambda step: 1.0)
        updates, _ = jax.jit(lambda zeros, ones, t=transformation: t.update(zeros, t.init(ones), ones))(zeros, ones)
        moved = {jax.tree_util.keystr(path): float(jnp.abs(u).max()) for path, u in jax.tree.leaves_with_path(updates)}
        assert {path.endswith("['kernel']") for path, size in moved.items() if size > 0} == {True}
        assert sum(size > 0 for size in moved.values()) == 1 + 4 + 2 + 1


def test_clipping_bounds_the_global_norm_of_the_gradient(smoke):
    path, _ = walk(smoke(optim__name="sgd", optim__weight_decay=0.0, optim__clip_norm=0.5), GRADS[:1])
    clipped = GRADS[0] * 0.5 / np.linalg.norm(GRADS[0])
    np.testing.assert_allclose(path[0], START - RATE * clipped, rtol=1e-5, atol=1e-6)


def test_adam_with_decoupled_decay_is_refused_with_its_right_name(smoke):
    with pytest.raises(ConfigError, match="use adamw, or config.optim.l2"):
        walk(smoke(optim__name="adam", optim__weight_decay=0.1))


@pytest.fixture(autouse=True)
def _standard_promotion():
    """Optax's schedules need it; so `steps.update` calls them under it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("over_seeds", ["map", pytest.param("vmap", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    "made",
    [
        {"optim__learning_rate": 0.0123, "optim__weight_decay": 0.07, "optim__l1": 1.3e-5} | SMALL,
        {"optim__name": "momentum", "optim__weight_decay": 0.0, "optim__l2": 1e-4, "schedule__name": "one_cycle"}
        | SMALL,
        {"optim__name": "lamb", "schedule__name": "exponential", "schedule__warmup_epochs": 0.5} | SMALL,
        {"optim__name": "muon"} | SMALL,
    ],
    ids=lambda made: made.get("optim__name", "adamw"),
)
def test_scalars_in_the_state_compute_what_those_of_the_config_do_to_the_bit(smoke, digits, made, over_seeds):
    config = smoke(seeds=2, over_seeds=over_seeds, **made)
    other = config.copy_and_resolve_references()
    for name, value in optimizers.scalars(config.optim).items():
        other.optim[name] = 3 * value  # what is compiled
    found = []
    for own, injected in ((config, False), (other, True)):
        bound = run.make_run(own, digits, devices=1, injected=injected)
        with jax.numpy_dtype_promotion("standard"):
            state = bound.programs.init(bound.seed_array())
            if injected:
                values = optimizers.scalars(config.optim).items()
                state = state._replace(
                    opt_state=optimizers.with_scalars(
                        state.opt_state, {n: jnp.full(2, v, jnp.float32) for n, v in values}
                    )
                )
            order = bound.programs.order(bound.seed_array(), jnp.int32(0))
            state = bound.programs.steps(state, run.on_device(bound, digits.train), order, jnp.int32(20))
        found.append(jax.device_get(state.params))
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, found), strict=True))


def test_scalars_are_put_into_an_optimiser_with_layer_factors_too(smoke):
    config = at_rate(smoke(optim__weight_decay=0.1).optim, 0.5)
    share, factors = (lambda step: 1.0), {"a": 0.25, "b": 0.0}
    params = {name: {"kernel": jnp.full((2, 2), 2.0)} for name in factors}
    grads = jax.tree.map(jnp.ones_like, params)
    made = optimizers.by_layer(optimizers.make_optimizer(config, share, injected=True), factors)
    values = {"learning_rate": jnp.float32(1e-3), "weight_decay": jnp.float32(0.3)}
    updates, _ = made.update(grads, optimizers.with_scalars(made.init(params), values), params)
    np.testing.assert_allclose(updates["a"]["kernel"], np.full((2, 2), -0.25 * 1e-3 * (1.0 + 0.3 * 2.0)), rtol=1e-5)
    assert not np.any(updates["b"]["kernel"])
