"""The steps: learning, determinism, every example once, and equality over chunks, seeds, devices and pmap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from quick_runs import SMALL as MLP

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.distributed import sharding
from hwr_jax.steps import predict_step, train_step
from hwr_jax.steps.compiled import make_programs
from hwr_jax.steps.recipe import make_recipe

N, B = 64, 32
SGD = {"optim__name": "sgd", "optim__learning_rate": 0.05, "optim__weight_decay": 0.0, "schedule__name": "constant"}
# For comparisons up to rounding. Without ReLU and max-pooling: at a kink, or where two pixels of a window are equal up
# to rounding, another order of additions sends the gradient another way. Few positions keep batch statistics exact.
SMOOTH = {
    "model__activation": "tanh", "model__pools": (False, False), "model__strides_px": (4, 2),
    "model__initializer": "xavier_uniform",
}  # fmt: skip


@pytest.fixture(scope="module")
def few(digits):
    """64 training images on the device."""
    return Arrays(jnp.asarray(digits.train.image[:N]), jnp.asarray(digits.train.label[:N]))


RECIPES = {}  # by their config: what one test has compiled, others use


def recipe_of(config, examples=N):
    key = configs.to_json(config), examples
    if key not in RECIPES:
        RECIPES[key] = make_recipe(config, examples=examples, classes=10, mean=0.13, std=0.31)
    return RECIPES[key]


@functools.cache
def programs_of(recipe, *, devices=1, how="map", examples=N, eval_batch=20):
    mesh = sharding.make_mesh(devices, batch_size=recipe.batch_size)
    return make_programs(recipe, mesh, how=how, examples=examples, shape=(28, 28, 1), eval_batch=eval_batch)


def trained(recipe, arrays, *, seeds=(0,), chunks=(2,), epochs=2, **options):
    """The state after some epochs, each cut into dispatches of these sizes."""
    programs = programs_of(recipe, **options)
    seeds = jnp.asarray(seeds, jnp.int32)
    state = programs.init(seeds)
    for epoch in range(epochs):
        order = programs.order(seeds, epoch)
        for count in chunks:
            state = programs.steps(state, arrays, order, count)
    return state


def leaves(tree):
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x) for x in tree]


def assert_same(a, b):
    for x, y in zip(leaves(jax.tree.leaves(a)), leaves(jax.tree.leaves(b)), strict=True):
        np.testing.assert_array_equal(x, y)


def distance(a, b):
    """The largest difference of two trees of parameters."""
    return max(
        float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
    )


@pytest.mark.exhaustive
def test_the_network_learns_64_digits_by_heart(smoke, few):
    config = smoke(batch_size=B, epochs=60, model__dropout=0.0, optim__learning_rate=5e-3, augment__shift_px=0.0)
    recipe = recipe_of(config)
    state = trained(recipe, few, epochs=60)
    outputs = programs_of(recipe).predict(state.params, state.model_state, few)
    assert np.mean(np.asarray(outputs.pred[0]) == few.label) == 1.0


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(smoke, few):
    recipe = recipe_of(smoke(batch_size=B))
    a, b, c = (trained(recipe, few, seeds=(seed,)) for seed in (3, 3, 4))
    assert_same(a, b)
    assert distance(a.params, c.params) > 1e-3


@pytest.mark.parametrize("chunks", [(1,) * 4, (3, 1), (1, 3)])
def test_the_size_of_the_dispatches_changes_no_bit(smoke, few, chunks):
    recipe = recipe_of(smoke(batch_size=16))
    assert_same(trained(recipe, few, chunks=(4,)), trained(recipe, few, chunks=chunks))


def test_the_loop_of_a_gpu_does_the_same_steps(smoke, few, monkeypatch):
    recipe = recipe_of(smoke(**SGD, **SMOOTH, augment__shift_px=2.0))
    expected = trained(recipe, few, chunks=(1, 1))
    programs_of.cache_clear()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    try:
        found = trained(recipe, few, chunks=(2,))
    finally:
        programs_of.cache_clear()
    assert found.step == expected.step == 4
    assert distance(found.params, expected.params) < 1e-5
    np.testing.assert_allclose(found.totals.loss, expected.totals.loss, rtol=1e-5)


def test_a_shorter_last_dispatch_costs_no_second_compilation(smoke, few):
    recipe = recipe_of(smoke(batch_size=16))
    programs = programs_of.__wrapped__(recipe)  # not those that another test has called
    seeds = jnp.zeros(1, jnp.int32)
    state, order = programs.init(seeds), programs.order(seeds, 0)
    for count in (3, 1):
        state = programs.steps(state, few, order, jnp.int32(count))
    assert programs.steps._cache_size() == 1


@pytest.mark.exhaustive
def test_many_seeds_by_map_equal_single_runs_to_the_bit(smoke, few, optimised):
    recipe = recipe_of(smoke(batch_size=B))
    together = trained(recipe, few, seeds=(5, 6, 7))
    for i, seed in enumerate((5, 6, 7)):
        assert_same(jax.tree.map(lambda x, i=i: x[i : i + 1], together), trained(recipe, few, seeds=(seed,)))


@pytest.mark.slow
def test_many_seeds_by_vmap_agree_with_single_runs_up_to_rounding(smoke, few):
    recipe = recipe_of(smoke(batch_size=B, **MLP, **SGD))
    together = trained(recipe, few, seeds=(5, 6), how="vmap")
    alone = trained(recipe, few, seeds=(6,))
    assert distance(jax.tree.map(lambda x: x[1:], together.params), alone.params) < 1e-4


def test_an_epoch_is_a_new_permutation_without_the_remainder(smoke):
    recipe = recipe_of(smoke(batch_size=10))
    first, second = (np.asarray(train_step.epoch_order(recipe, 0, epoch, N)) for epoch in (0, 1))
    assert first.shape == (6, 10)
    assert len(set(first.ravel().tolist())) == 60
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, train_step.epoch_order(recipe, 0, 0, N))


@pytest.mark.parametrize(("examples", "batch_size"), [(64, 64), (64, 10), (7, 10), (1, 4)])
def test_every_example_is_evaluated_exactly_once_and_padding_never_counts(smoke, few, examples, batch_size, initial):
    recipe = recipe_of(smoke(batch_size=B))
    state = initial(recipe)
    some = jax.tree.map(lambda x: x[:examples], few)
    predict = jax.jit(functools.partial(predict_step.predict, recipe, batch_size=batch_size))
    outputs = predict(state.params, state.model_state, some)
    image = (some.image.astype(jnp.float32) / 255 - recipe.mean) / recipe.std
    logits, _ = jax.jit(recipe.model.apply)({"params": state.params}, image)
    assert outputs.loss.shape == (examples,)
    np.testing.assert_allclose(outputs.prob, jax.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(outputs.pred, jnp.argmax(logits, -1))


@pytest.mark.parametrize("norm", [pytest.param("none", marks=pytest.mark.exhaustive), "batch"])
def test_eight_devices_equal_one(smoke, few, norm):
    recipe = recipe_of(smoke(batch_size=B, model__norm=norm, optim__gradient_norm=True, **SMOOTH, **SGD))
    one, eight = trained(recipe, few), trained(recipe, few, devices=8)
    assert len(eight.step.sharding.device_set) == 8
    assert distance(one.params, eight.params) < 1e-6
    assert distance(one.model_state, eight.model_state) < 1e-6 if norm == "batch" else not one.model_state
    np.testing.assert_array_equal(one.totals.hits, eight.totals.hits)
    np.testing.assert_allclose(one.totals.norm, eight.totals.norm, rtol=1e-5)


def test_over_devices_a_step_moves_nothing_but_sums(smoke, few):
    """The batch's rows stay on their device: no all-gather, all-to-all or permutation."""
    config = smoke(batch_size=N, model__features=(16, 48), model__pools=(True, False), **SGD)
    programs = programs_of(recipe_of(config), devices=8)
    seeds = jnp.zeros(1, jnp.int32)
    state, order = (jax.eval_shape(f, *a) for f, a in ((programs.init, (seeds,)), (programs.order, (seeds, 0))))
    text = programs.steps.lower(state, few, order, jnp.int32(1)).compile().as_text()
    assert "all-reduce" in text
    for other in ("all-gather", "all-to-all", "collective-permute"):
        assert other not in text, other


def over_devices(recipe, mapping):
    """One step of the recipe over eight devices: (state, rows [B, ...]) -> state."""
    step = functools.partial(train_step.train_step, recipe, axis_name="batch")
    if mapping == "pmap":
        mapped = jax.pmap(step, axis_name="batch", in_axes=(None, 0))

        def by_pmap(state, rows):
            split = jax.tree.map(lambda x: x.reshape(8, -1, *x.shape[1:]), rows)
            return jax.tree.map(lambda x: x[3], mapped(state, split))

        return by_pmap
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, split = PartitionSpec(), PartitionSpec("batch")
    tracked = mapping == "shard_map"
    return jax.jit(jax.shard_map(step, mesh=mesh, in_specs=(whole, split), out_specs=whole, check_vma=tracked))


@pytest.mark.parametrize("mapping", ["pmap", "shard_map", "shard_map without tracking"])
@pytest.mark.parametrize(
    ("norm", "parts"),
    [
        pytest.param("none", 1, marks=pytest.mark.exhaustive),
        ("batch", 1),
        pytest.param("none", 2, marks=pytest.mark.exhaustive),
    ],
)
def test_a_step_under_pmap_and_shard_map_equals_the_single_device_step(smoke, few, mapping, norm, parts, initial):
    dropout = {"model__dropout": 0.0} if parts > 1 else {}  # of which each part draws its own
    recipe = recipe_of(smoke(batch_size=B, model__norm=norm, optim__accumulate=parts, **dropout, **SMOOTH, **SGD))
    start = initial(recipe)
    rows = jax.tree.map(lambda x: x[:B], few)
    single, many = jax.jit(functools.partial(train_step.train_step, recipe)), over_devices(recipe, mapping)
    one = other = start
    for _ in range(2):
        one, other = single(one, rows), jax.device_get(many(other, rows))
    assert distance(one.params, other.params) < 1e-6
    assert distance(one.params, start.params) > 1e-3
    np.testing.assert_array_equal(one.totals.hits, other.totals.hits)
    if norm == "batch":
        assert distance(one.model_state, other.model_state) < 1e-6


def test_the_best_state_is_kept(smoke, few, initial):
    recipe = recipe_of(smoke(batch_size=B))
    states = [initial(recipe)]

    @jax.jit
    def epoch(state, accuracy):
        return train_step.end_epoch(recipe, train_step.train_step(recipe, state, few), accuracy)

    for accuracy in (0.5, 0.9, 0.7, 0.9):
        states.append(epoch(states[-1], jnp.float32(accuracy)))
    last = states[-1]
    assert float(last.best.accuracy) == np.float32(0.9)
    assert int(last.best.step) == 2
    assert_same(last.best.params, states[2].params)
    assert int(last.totals.examples) == 0


@pytest.mark.parametrize("devices", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(smoke, few, devices):
    states = [
        trained(
            recipe_of(smoke(batch_size=B, optim__accumulate=parts, model__dropout=0.0, **MLP, **SGD)),
            few,
            devices=devices,
        )
        for parts in (1, 4)
    ]
    assert 0 < distance(*(s.params for s in states)) < 1e-6
    np.testing.assert_array_equal(*(s.totals.hits for s in states))
    np.testing.assert_array_equal(*(s.totals.examples for s in states))


def test_the_parts_of_a_batch_must_divide_it(smoke):
    with pytest.raises(ConfigError, match="config.optim.accumulate=3 does not divide config.batch_size=32"):
        recipe_of(smoke(batch_size=B, optim__accumulate=3))


def test_a_seed_that_no_longer_improves_stops_alone(smoke, few, optimised):
    recipe = recipe_of(smoke(batch_size=B, eval__patience_epochs=2, **MLP))
    accuracies = np.array([[0.5, 0.5], [0.6, 0.5], [0.6, 0.4], [0.7, 0.4], [0.7, 0.4], [0.6, 0.4]], np.float32)

    def run(columns):
        programs, seeds = programs_of(recipe), jnp.asarray([3 + c for c in columns], jnp.int32)
        states = [programs.init(seeds)]
        for epoch, accuracy in enumerate(accuracies[:, columns]):
            state = jax.tree.map(jnp.copy, states[-1])
            state = programs.steps(state, few, programs.order(seeds, epoch), 2)
            states.append(programs.end_epoch(state, jnp.asarray(accuracy)))
        return states

    both = run([0, 1])
    assert [np.asarray(train_step.stopped(recipe, s)).tolist() for s in both] == [
        [False, False], [False, False], [False, False], [False, True], [False, True], [False, True], [True, True],
    ]  # fmt: skip
    seed = [jax.tree.map(lambda x: x[1:], s) for s in both]
    assert_same((seed[3].params, seed[3].totals), (seed[6].params, seed[6].totals))
    assert int(seed[6].step[0]) == 12
    assert int(seed[6].totals.examples[0]) == N
    assert int(seed[6].best.step[0]) == 2
    assert distance(both[3].params, both[6].params) > 1e-4
    assert_same(jax.tree.map(lambda x: x[:1], both[6]), run([0])[6])


def test_totals_are_sums_over_the_epoch(smoke, few):
    recipe = recipe_of(smoke(batch_size=B))
    state = trained(recipe, few, epochs=1)
    assert int(state.totals.examples[0]) == N
    assert 0 <= int(state.totals.hits[0]) <= N
    assert float(state.totals.loss[0]) > 0


def test_the_norm_in_the_totals_is_that_of_the_gradient_before_clipping(smoke, few, quick_jit):
    """A step of SGD moves the weights by its gradient, here clipped to a tenth of its norm."""
    flags = {**SGD, "batch_size": N, "optim__learning_rate": 1.0, "optim__gradient_norm": True}
    moved, norm = {}, {}
    for clip in (0.0, 0.1):
        recipe = recipe_of(smoke(optim__clip_norm=clip, **flags, **MLP))
        state = train_step.init_state(recipe, 0, (28, 28, 1))
        after = quick_jit(functools.partial(train_step.train_step, recipe))(state, few)
        steps = jax.tree.map(lambda a, b: np.square(a - b).sum(), state.params, after.params)
        moved[clip], norm[clip] = np.sqrt(sum(jax.tree.leaves(steps))), float(after.totals.norm)
    assert moved == {0.0: pytest.approx(norm[0.0], rel=1e-4), 0.1: pytest.approx(0.1, rel=1e-4)}
    assert norm[0.1] == pytest.approx(norm[0.0], rel=1e-6)
    assert norm[0.0] > 0.2


def test_the_step_has_none_of_the_operations_that_are_not_deterministic_on_gpu(smoke, few):
    recipe = recipe_of(smoke(batch_size=B, model__norm="batch", model__convolution="native"))
    state = jax.eval_shape(lambda: train_step.init_state(recipe, 0, (28, 28, 1)))
    text = jax.jit(functools.partial(train_step.train_step, recipe)).lower(state, few).as_text()
    assert "stablehlo.convolution" in text
    assert "scatter" not in text


def test_a_batch_larger_than_the_data_or_not_divisible_over_the_devices_is_refused(smoke):
    with pytest.raises(ConfigError, match="config.batch_size=65 is more than the 64 training images"):
        recipe_of(smoke(batch_size=65))
    with pytest.raises(ConfigError, match="over 8 devices: use a multiple, or fewer"):
        sharding.make_mesh(8, batch_size=20)
    with pytest.raises(ConfigError, match="this machine has 8; use 1 to 8, or 0"):
        sharding.make_mesh(9, batch_size=72)
