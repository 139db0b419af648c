"""Numbers that are not finite: the run halts, skips exactly those updates, or rolls back."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick_runs import SMALL, TINY

from hwr_jax.core import rng
from hwr_jax.core.errors import NotFiniteError
from hwr_jax.core.types import Arrays
from hwr_jax.steps import gradient, train_step
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.training import loop, nonfinite
from hwr_jax.workdir import logs

SMOKE = "--config=configs/digits.py:smoke"


@pytest.fixture
def few(digits):
    return Arrays(jnp.asarray(digits.train.image[:8]), jnp.asarray(digits.train.label[:8]))


def training(made, few, initial, *, bad_steps=()):
    """The states of 6 steps; in `bad_steps` the loss of one example is NaN."""
    recipe = make_recipe(made, examples=1097, classes=10, mean=0.13, std=0.31)
    state = initial(recipe)

    def step(state, bad):
        batch = train_step.prepare(recipe, state, few)
        image = batch.image.at[3, 5, 5, 0].set(jnp.where(bad, jnp.nan, batch.image[3, 5, 5, 0]))
        return train_step.update(recipe, state, batch._replace(image=image))

    step = jax.jit(step)
    states = [state]
    for i in range(6):
        states.append(step(states[-1], jnp.bool_(i in bad_steps)))
    return states


def finite(state):
    return all(np.isfinite(x).all() for x in jax.tree.leaves((state.params, state.opt_state, state.totals.loss)))


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_exactly_the_bad_updates_are_skipped_and_counted(smoke, few, initial):
    made = smoke(nonfinite__policy="skip", model__norm="batch", average__name="ema", **SMALL)
    states = training(made, few, initial, bad_steps=(1, 3, 4))
    assert all(map(finite, states))
    assert [int(s.faults.skipped) for s in states] == [0, 0, 1, 1, 2, 3, 3]
    assert [int(s.faults.in_a_row) for s in states] == [0, 0, 1, 0, 1, 2, 0]
    assert [int(s.faults.longest) for s in states] == [0, 0, 1, 1, 1, 2, 2]
    assert [int(s.step) for s in states] == list(range(7))  # skipped steps count too
    assert [int(s.totals.examples) for s in states] == [0, 8, 8, 16, 16, 16, 24]
    for i in (1, 3, 4):
        for field in ("params", "opt_state", "model_state", "average"):
            assert same(getattr(states[i], field), getattr(states[i + 1], field))
    for i in (0, 2, 5):
        assert not same(states[i].params, states[i + 1].params)


def test_without_a_fault_skipping_changes_nothing(smoke, few, initial):
    skipping, halting = (training(smoke(nonfinite__policy=p, **SMALL), few, initial)[-1] for p in ("skip", "halt"))
    pairs = zip(*(jax.tree.leaves((s.params, s.opt_state, s.totals)) for s in (skipping, halting)), strict=True)
    for a, b in pairs:  # two programs, so the last bit may differ
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


def test_without_skipping_a_bad_update_reaches_the_weights(smoke, few, initial):
    assert not finite(training(smoke(**SMALL), few, initial, bad_steps=(2,))[-1])


def test_a_scale_of_one_half_halves_the_update(smoke, few, initial):
    recipe = make_recipe(smoke(nonfinite__policy="rollback", **SMALL), examples=1097, classes=10, mean=0.13, std=0.31)
    state = initial(recipe)
    step = jax.jit(lambda state: train_step.train_step(recipe, state, few))
    half = state._replace(faults=state.faults._replace(scale=jnp.float32(0.5)))
    whole, halved = (
        jax.tree.map(lambda new, old: np.asarray(new - old), step(s).params, state.params) for s in (state, half)
    )
    assert max(np.abs(x).max() for x in jax.tree.leaves(whole)) > 1e-5
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 2 * b, atol=1e-7), whole, halved)


def test_skipping_every_update_halts_after_the_limit(command, tmp_path):
    flags = ["--config.optim.name=sgd", "--config.optim.learning_rate=1e30", "--config.nonfinite.policy=skip"]
    done = command("main", SMOKE, *TINY, *flags, "--config.nonfinite.limit=3", f"--workdir={tmp_path / 'r'}")
    assert (done.returncode, done.stderr.count("\n")) == (65, 1)
    assert "more than config.nonfinite.limit=3" in done.stderr
    events = list((tmp_path / "r" / "tensorboard").rglob("events*"))
    assert events
    assert all(path.stat().st_size > 1000 for path in events)  # flushed, although the process exited at once


@pytest.mark.slow
def test_a_rollback_halves_the_rate_of_the_bad_seed_until_it_trains(command, tmp_path):
    """At a rate at which plain SGD overflows, and at 2**-n of which it does not."""
    flags = [*TINY, "--config.optim.name=sgd", "--config.optim.learning_rate=40.0", "--config.schedule.name=constant"]
    flags += ["--config.nonfinite.policy=rollback", "--config.seeds=2"]
    done = command("main", SMOKE, *flags, "--config.nonfinite.limit=30", f"--workdir={tmp_path / 'r'}")
    assert done.returncode == 0, done.stderr
    assert "rollback 1 of 30, with half the learning rate" in done.stdout
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    lines = (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]  # no epoch twice
    assert all(np.isfinite(json.loads(line)["loss"]) for line in lines)
    assert summary["steps"] == json.loads(lines[-1])["step"]
    flags = [*flags, "--config.optim.learning_rate=1e30", "--config.nonfinite.limit=1"]
    done = command("main", SMOKE, *flags, f"--workdir={tmp_path / 's'}")
    assert done.returncode == 65
    assert done.stdout.count("rollback 1 of 1,") == 1
    assert "rollback 2" not in done.stdout
    again = command("main", SMOKE, *flags, f"--workdir={tmp_path / 's'}")
    assert again.returncode == 65
    assert "resume" in again.stdout or "starting at step 0" in again.stdout
    assert "rollback 1" not in again.stdout  # that one was before the restart


def counts(opt_state):
    """The step counts in an optimiser's state: of the moments, and of the schedule."""
    leaves = jax.tree_util.tree_leaves_with_path(opt_state, is_leaf=lambda x: isinstance(x, optax.ScaleByScheduleState))
    return [int(x.count) for _, x in leaves if isinstance(x, optax.ScaleByScheduleState)], [
        int(x) for path, x in leaves if getattr(path[-1], "name", "") == "count"
    ]


@pytest.mark.parametrize("injected", [False, True], ids=["plain", "injected"])
def test_the_update_after_a_skipped_one_has_the_rate_that_is_logged(smoke, few, initial, quick_jit, injected):
    """Plain SGD: the change of the weights is rate * gradient, and the gradient is that of the same batch."""
    fixed = {"optim__name": "sgd", "optim__weight_decay": 0.0, "schedule__name": "one_cycle", "model__dropout": 0.0}
    made = smoke(nonfinite__policy="skip", epochs=1, **fixed, **SMALL)
    recipe = make_recipe(made, examples=8 * made.batch_size, classes=10, mean=0.13, std=0.31, injected=injected)
    state = initial(recipe)

    @quick_jit
    def step(state, bad):
        batch = train_step.prepare(recipe, state, few)
        batch = batch._replace(image=jnp.where(bad, jnp.nan, batch.image))
        return train_step.update(recipe, state, batch)

    for bad in (False, True, True):
        state = step(state, jnp.bool_(bad))
    assert counts(state.opt_state)[0] == [1]  # as the last update that was made left it
    after = step(state, jnp.bool_(False))
    assert counts(after.opt_state)[0] == [4]
    batch = train_step.prepare(recipe, state, few)
    key = rng.stream(state.key, "dropout", state.step)
    grads, _, _ = gradient.of_batch(recipe, state.params, state.model_state, batch, key)
    with jax.numpy_dtype_promotion("standard"):  # as the loop reads it for the log
        rate, before = float(recipe.schedule(3)), float(recipe.schedule(1))
    assert rate > 1.5 * before
    for new, old, grad in zip(*map(jax.tree.leaves, (after.params, state.params, grads)), strict=True):
        np.testing.assert_allclose(new - old, -rate * grad, rtol=1e-3, atol=1e-7)


def test_the_moments_count_the_updates_that_were_made(smoke, few, initial):
    states = training(smoke(nonfinite__policy="skip", **SMALL), few, initial, bad_steps=(1, 3, 4))
    assert counts(states[-1].opt_state) == ([6], [3])


def test_a_resumed_run_goes_on_counting_its_rollbacks(tmp_path):
    timing = logs.Timing(tmp_path / "timing.jsonl", 0.0)
    timing.write("rollback", step=5, scale=[1.0, 0.5])
    timing.write("epoch", step=10)
    timing.write("rollback", step=10, scale=[0.5, 0.5])
    assert logs.rollbacks(tmp_path / "timing.jsonl") == [[1.0, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_rollbacks_before_a_restart_count_towards_the_limit(monkeypatch, before):
    """The loop around an epoch that always fails: `limit` rollbacks in all, whatever the number of processes."""
    bad = np.array([True, False])

    def fail(*_):
        raise NotFiniteError("the loss of seed 0 is not finite", bad)

    monkeypatch.setattr(loop, "_epochs", fail)
    plan = SimpleNamespace(nonfinite="rollback", nonfinite_limit=3, epochs=1)
    state, scales = SimpleNamespace(faults=SimpleNamespace(scale=np.ones(2, np.float32))), []
    tools = loop.Tools(
        signals=None, record=None, stopped=None, timing=None, roll_back=lambda s: scales.append(s.tolist()),
        rolled_back=before,
    )  # fmt: skip
    with pytest.raises(NotFiniteError):
        loop.epochs(SimpleNamespace(plan=plan), None, state, tools)
    assert scales == [[0.5 ** (i + 1), 1.0] for i in range(max(0, 3 - before))]


def test_the_parameters_of_a_seed_are_finite_only_if_every_one_is():
    params = {"kernel": jnp.array([[[1.0, -2.0]], [[3.0, jnp.nan]]]), "bias": jnp.array([[-4.0], [5.0]])}
    np.testing.assert_array_equal(nonfinite.magnitude(SimpleNamespace(params=params)), [7.0, np.nan])


def test_a_seed_that_skipped_a_whole_epoch_is_named():
    run = SimpleNamespace(seeds=[7, 8, 9])
    nonfinite.check_trained(run, np.array([3, 1, 2]), 40)
    with pytest.raises(NotFiniteError, match="seed 8 skipped every update of the epoch before step 40") as caught:
        nonfinite.check_trained(run, np.array([3, 0, 0]), 40)
    assert caught.value.bad.tolist() == [False, True, True]
