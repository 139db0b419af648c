"""The network from scratch: its gradients are those of JAX, its steps those of the Flax twin with optax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.config import check
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.distributed.sharding import make_mesh
from hwr_jax.models import layers, scratch
from hwr_jax.models.mlp import MLP
from hwr_jax.optim import optimizers
from hwr_jax.steps.compiled import make_programs
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.tasks import losses

HIDDEN = (12, 9)
X = np.random.default_rng(0).standard_normal((16, 28 * 28))
LABEL = np.arange(16, dtype=np.int32) % 10


def scratch_config(smoke, **values):
    values = {
        "optim__name": "sgd",
        "optim__weight_decay": 0.0,
        "augment__shift_px": 0.0,
        "augment__rotate_deg": 0.0,
        **values,
    }
    zero = {f"augment__{k}": 0.0 for k in ("scale", "shear_deg")}
    return smoke(model__name="scratch", model__hidden=HIDDEN, **{**zero, **values})


@pytest.mark.parametrize("activation", scratch.ACTIVATIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradients_are_those_of_jax_in_float64(smoke, activation, smoothing):
    with jax.enable_x64(True):
        module = MLP(
            classes=10, hidden=HIDDEN, dropout=0.0, norm="none", activation=layers.ACTIVATIONS[activation],
            kernel_init=layers.INITIALIZERS["he_normal"], dtype=jnp.float64,
        )  # fmt: skip
        image = jnp.asarray(X).reshape(16, 28, 28, 1)
        params = jax.tree.map(lambda p: p.astype(jnp.float64), module.init(jax.random.key(1), image)["params"])

        def loss(params):
            logits = module.apply({"params": params}, image)
            return jnp.mean(losses.cross_entropy(logits, jnp.asarray(LABEL), smoothing=smoothing)), logits

        expected, logits = jax.grad(loss, has_aux=True)(params)
        own = jax.tree.map(np.asarray, params)
        trace = scratch.forward(own, X, activation)
        np.testing.assert_allclose(trace[-1][1], logits, rtol=1e-10)
        target = scratch.one_hot(LABEL, 10, smoothing=smoothing, dtype=np.dtype(np.float64))
        grads = scratch.backward(own, trace, target, activation)
        for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
            assert b.dtype == np.float64
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)


def test_dropout_is_differentiated_with_its_masks():
    rng = np.random.default_rng(2)
    params = {
        "Dense_0": {"kernel": rng.standard_normal((5, 4)), "bias": rng.standard_normal(4)},
        "Dense_1": {"kernel": rng.standard_normal((4, 3)), "bias": rng.standard_normal(3)},
    }
    masks = scratch.dropout_masks(params, 6, rate=0.5, seed=(0, 0), dtype=np.dtype(np.float64))
    assert set(np.unique(masks[0])) == {0.0, 2.0}
    x, label = rng.standard_normal((6, 5)), np.arange(6) % 3
    target = scratch.one_hot(label, 3, smoothing=0.0, dtype=np.float64)
    grads = scratch.backward(params, scratch.forward(params, x, "tanh", masks), target, "tanh", masks)

    def loss():
        return scratch.cross_entropy(scratch.forward(params, x, "tanh", masks)[-1][1], target).mean()

    for name, layer in params.items():
        for key, values in layer.items():
            for at in np.ndindex(values.shape):
                kept, h = values[at], 1e-6
                values[at] = kept + h
                up = loss()
                values[at] = kept - h
                down = loss()
                values[at] = kept
                np.testing.assert_allclose(grads[name][key][at], (up - down) / (2 * h), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", scratch.OPTIMIZERS)
def test_the_optimisers_are_those_of_optax(smoke, name):
    decay = 0.2 if name == "adamw" else 0.0
    config = scratch_config(smoke, optim__name=name, optim__weight_decay=decay, optim__l1=0.01, optim__l2=0.02)
    settings = make_recipe(config, examples=64, classes=10, mean=0.0, std=1.0).scratch
    rng = np.random.default_rng(0)
    params = {"Dense_0": {"kernel": rng.standard_normal((4, 3)).astype(np.float32), "bias": np.ones(3, np.float32)}}
    own = config.optim.copy_and_resolve_references()
    own.learning_rate = 0.1
    transformation = optimizers.make_optimizer(own, lambda step: 1.0)
    theirs, state, moments = params, transformation.init(params), scratch.zero_moments(params)
    for step in range(4):
        grads = jax.tree.map(lambda p: rng.standard_normal(p.shape).astype(np.float32), params)
        params, moments = scratch.update(params, moments, grads, step=step, rate=0.1, settings=settings)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = transformation.update(grads, state, theirs)
        theirs = jax.tree.map(jnp.add, theirs, updates)
        for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
            assert a.dtype == np.float32


@pytest.mark.parametrize("name", [pytest.param("momentum", marks=pytest.mark.exhaustive), "adam"])
def test_a_run_from_scratch_is_its_flax_twin_step_by_step(smoke, digits, name):
    values = {"optim__name": name, "model__dropout": 0.0, "batch_size": 32, "optim__learning_rate": 1e-3}
    arrays = Arrays(jnp.asarray(digits.train.image[:96]), jnp.asarray(digits.train.label[:96]))
    states, outputs = [], []
    for model in ("scratch", "mlp"):
        config = scratch_config(smoke, **values)
        config.model.name = model
        check.check(config)
        recipe = make_recipe(config, examples=96, classes=10, mean=digits.mean, std=digits.std)
        programs = make_programs(
            recipe, make_mesh(1, batch_size=32), how="map", examples=96, shape=(28, 28, 1), eval_batch=50
        )
        seeds = jnp.array([3, 4])
        state, path = programs.init(seeds), []
        for epoch in range(2):
            for count in (1, 2):
                state = programs.steps(state, arrays, programs.order(seeds, epoch), jnp.int32(count))
                path.append(jax.tree.map(np.asarray, (state.params, state.totals)))
            state = programs.end_epoch(state, jnp.array([0.5, 0.6]))
        states.append(path)
        outputs.append(jax.tree.map(np.asarray, programs.predict(state.params, state.model_state, arrays)))
    for a, b in zip(jax.tree.leaves(states[0]), jax.tree.leaves(states[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)
    np.testing.assert_array_equal(outputs[0].pred, outputs[1].pred)
    np.testing.assert_allclose(outputs[0].prob, outputs[1].prob, atol=1e-4)
    np.testing.assert_allclose(outputs[0].loss, outputs[1].loss, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optim__name": "lion"}, "config.optim.name=lion is not in the network from scratch: use 'sgd', 'momentum'"),
        ({"augment__rotate_deg": 5.0}, "config.augment.rotate_deg=5.0 is not in the network from scratch: use 0"),
        ({"model__activation": "gelu"}, "config.model.activation=gelu is not in the network from scratch"),
    ],
)
def test_what_it_does_not_have_is_refused(smoke, values, words):
    with pytest.raises(ConfigError, match=words):
        make_recipe(scratch_config(smoke, **values), examples=64, classes=10, mean=0.0, std=1.0)


def test_the_main_job_trains_it_resumes_it_and_leaves_the_same_run_folder(command, tmp_path):
    flags = ["--config=configs/scratch.py:smoke", "--config.data.name=digits", "--config.data.validation_examples=200"]
    flags += ["--config.batch_size=16", "--config.epochs=6", "--config.seeds=2", "--config.optim.learning_rate=0.003"]
    done = command("main", *flags, f"--workdir={tmp_path / 'r'}")
    assert done.returncode == 0, done.stderr
    for name in ("summary.json", "predictions.npz", "metrics.jsonl", "figures", "checkpoints", "tensorboard"):
        assert (tmp_path / "r" / name).exists()
    last = done.stdout.strip().splitlines()[-1]
    assert float(last.split('"test_accuracy": ')[1].split(",")[0]) > 0.8
    again = command("evaluate", f"--workdir={tmp_path / 'r'}", "--format=json")
    assert f'"mean": {last.split(chr(34) + "test_accuracy" + chr(34) + ": ")[1].split(",")[0]}' in again.stdout
