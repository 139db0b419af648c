"""The training steps: pure functions of a recipe and a state, for one seed; one batch from uint8 to new weights.

`compiled.over_seeds` gives any of them a leading seed axis. Nothing here reads a config, a file or a clock.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax

from hwr_jax.core import rng
from hwr_jax.core.types import Arrays, Batch, Best, Faults, NormTotals, Totals, TrainState, Tree
from hwr_jax.optim import optimizers
from hwr_jax.steps import balanced, gradient
from hwr_jax.steps.balanced import ByClass
from hwr_jax.steps.recipe import Recipe


def init_state(recipe: Recipe, seed: jax.Array, shape: tuple[int, int, int]) -> TrainState:
    """Returns the state before the first step.

    Args:
      recipe: the run's functions.
      seed: int32 [].
      shape: H, W, C of an image.
    """
    key = rng.root(seed)
    seen = jax.eval_shape(recipe.frame, jax.ShapeDtypeStruct(shape, jnp.float32)).shape
    variables = dict(recipe.model.init(rng.stream(key, "init"), (1, *seen)))
    params = variables.pop("params")
    return TrainState(
        step=jnp.int32(0),
        params=params,
        model_state=variables,
        opt_state=recipe.optimizer.init(params),
        key=key,
        totals=no_totals(recipe),
        best=Best(jnp.float32(-1), jnp.int32(0), *jax.tree.map(jnp.zeros_like, (params, variables))),
        average={} if recipe.average is None else {"params": params, "model_state": variables},
        faults=Faults(jnp.int32(0), jnp.int32(0), jnp.int32(0), jnp.float32(1)),
    )


def no_totals(recipe: Recipe) -> Totals | NormTotals:
    """Returns the sums at the start of an epoch."""
    totals = gradient.zero_totals()
    return NormTotals(*totals, norm=jnp.float32(0)) if recipe.gradient_norm else totals


def epoch_order(
    recipe: Recipe, seed: jax.Array, epoch: jax.Array, examples: int, by_class: ByClass | None = None
) -> jax.Array:
    """Returns the rows of each batch of an epoch, int32 [steps, B]: a new permutation each epoch, remainder dropped;
    with `by_class` (config.data.balanced) as many rows, drawn with every class equally likely."""
    key = rng.stream(rng.root(seed), "order", epoch)
    if by_class is not None:
        return balanced.draw(key, by_class, (recipe.steps_per_epoch, recipe.batch_size))
    order = jax.random.permutation(key, examples)
    used = recipe.steps_per_epoch * recipe.batch_size
    return order[:used].reshape(recipe.steps_per_epoch, recipe.batch_size)


def train_step(recipe: Recipe, state: TrainState, rows: Arrays, *, axis_name: str | None = None) -> TrainState:
    """Does one optimiser step on a batch: prepares it, computes the gradient, updates the weights.

    The recipe's functions are made elsewhere:
      recipe.frame, recipe.augment, recipe.mix: transforms/
      recipe.model.apply: models/
      recipe.loss: tasks/
      recipe.optimizer.update: optim/

    Args:
      recipe: the run's functions.
      state: before the step.
      rows: image uint8 [B, H, W, 1], label int32 [B] (strings: [B, L]).
      axis_name: under `jax.pmap` or `jax.shard_map`, the axis over which the global batch is split in equal parts:
        gradients, batch statistics and totals are then those of the global batch.
    """
    return update(recipe, state, prepare(recipe, state, rows, axis_name=axis_name), axis_name=axis_name)


def prepare(recipe: Recipe, state: TrainState, rows: Arrays, *, axis_name: str | None = None) -> Batch:
    """Turns uint8 rows [B, H, W, 1] into what the model sees: scaled to 0..1, framed, augmented, mixed, standardised.

    The augmentation's keys depend on the state's step and on each example's position in the global batch.
    """
    image = framed(recipe, rows.image)
    position = rng.batch_position(image.shape[0], axis_name)
    if recipe.augmented:
        keys = rng.per_example(rng.stream(state.key, "augment", state.step), position)
        image = jax.vmap(recipe.augment)(keys, image)
    if recipe.mix is None:
        return Batch(standardise(recipe, image), rows.label)
    keys = rng.per_example(rng.stream(state.key, "mix", state.step), position)
    mixed = recipe.mix(keys, image, rows.label)
    return Batch(standardise(recipe, mixed.image), rows.label, mixed.partner, mixed.share)


def framed(recipe: Recipe, image: jax.Array) -> jax.Array:
    """Turns uint8 images [B, H, W, 1] into float32 [B, H', W', 1] in 0..1, deskewed, centred and so on."""
    return jax.vmap(recipe.frame)(image.astype(jnp.float32) / 255)


def standardise(recipe: Recipe, image: jax.Array) -> jax.Array:
    """Shifts and scales an image float32 [...] in 0..1 by the mean and deviation of the training pixels."""
    return (image - recipe.mean) / recipe.std


def update(recipe: Recipe, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> TrainState:
    """Does one optimiser step on a prepared batch (see `train_step`)."""
    # shard_map sums the gradient of a replicated value over the devices; the mean below would then change nothing. Cast
    # to "varying", each device keeps the gradient of its own part of the batch.
    varying = state.params if axis_name is None else lax.pcast(state.params, axis_name, to="varying")
    key = rng.stream(state.key, "dropout", state.step)
    grads, sums, model_state = gradient.of_batch(recipe, varying, state.model_state, batch, key, axis_name=axis_name)
    if axis_name is not None:
        grads = lax.pmean(grads, axis_name)
        sums = lax.psum(sums, axis_name)
    if recipe.gradient_norm:
        sums = NormTotals(*sums, norm=optax.tree.norm(grads))
    opt_state = state.opt_state
    if recipe.nonfinite == "skip":  # a skipped update restores the optimiser's state, but not the schedule's step
        opt_state = optimizers.at_step(opt_state, state.step)
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies by int32 step counts
        updates, opt_state = recipe.optimizer.update(grads, opt_state, state.params)
    if recipe.nonfinite == "rollback":
        updates = jax.tree.map(lambda u: u * state.faults.scale.astype(u.dtype), updates)
    params = optax.apply_updates(state.params, updates)
    weights = {"params": params, "model_state": model_state}
    after = state._replace(
        params=params,
        model_state=model_state,
        average=recipe.average(state.step, state.average, weights) if recipe.average else {},
        opt_state=opt_state,
        totals=jax.tree.map(jnp.add, state.totals, sums),
    )
    if recipe.nonfinite == "skip":
        after = gradient.if_finite((grads, sums.loss), after, state)
    return after._replace(step=state.step + 1)


def train_steps(
    recipe: Recipe,
    state: TrainState,
    arrays: Arrays,
    order: jax.Array | None,
    count: jax.Array,
    *,
    place: Callable[[Tree], Tree] = lambda rows: rows,
) -> TrainState:
    """Does `count` steps in one compiled loop, from wherever in the epoch the state stands.

    `count` is traced, so a shorter last dispatch needs no second compilation, and the compiled step is the same for
    dispatches of any size.

    Args:
      recipe: the run's functions.
      state: before the steps.
      arrays: the training set, uint8 [N, H, W, 1] and int32 [N] (strings: [N, L]).
      order: int32 [steps, B], the epoch's `epoch_order`; None: `arrays` are batches already, uint8 [W, B, H, W, 1] and
        int32 [W, B], W >= count, and step i takes batch i % W.
      count: int32 [], at most the steps left in the epoch.
      place: puts a batch on the devices that compute it (see `sharding`).
    """

    def batch_of(state):
        step = state.step % recipe.steps_per_epoch
        if order is None:
            return prepare(recipe, state, place(Arrays(*(x[step % x.shape[0]] for x in arrays))))
        rows = order[step]
        return prepare(recipe, state, place(Arrays(arrays.image[rows], arrays.label[rows])))

    def step(_, state):
        return update(recipe, state, batch_of(state))

    def step_then_next_batch(i, carry):
        # The loop carries the next batch, because XLA computes and stores a carried value once: otherwise XLA on CPU
        # repeats the augmentation for every window of the first convolution (a quarter of the time). Turn 0 only
        # makes the first batch: made outside the loop, by other compiled code, it could differ in the last bit, and
        # the result would depend on where the dispatches were cut. The batch after the last step is thrown away.
        state = lax.cond(i > 0, lambda: update(recipe, *carry), lambda: carry[0])
        return state, batch_of(state)

    def run(state):
        if jax.default_backend() == "gpu":  # it waits for the host at each branch (see docs/performance.md)
            return lax.fori_loop(0, count, step, state)
        no_batch = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(batch_of, state))
        return lax.fori_loop(0, count + 1, step_then_next_batch, (state, no_batch))[0]

    if not recipe.patience_epochs:
        return run(state)
    return lax.cond(stopped(recipe, state), lambda state: state._replace(step=state.step + count), run, state)


def stopped(recipe: Recipe, state: TrainState) -> jax.Array:
    """Returns bool [] (or [S]): whether validation has not improved for `patience_epochs`; if so, the seed is frozen
    and only `step` advances.

    The answer changes only at the end of an epoch, and a stopped seed stays stopped: frozen weights never improve.
    """
    if not recipe.patience_epochs:
        return jnp.zeros_like(state.step, bool)
    epoch, best = (step // recipe.steps_per_epoch for step in (state.step, state.best.step))
    return epoch - best >= recipe.patience_epochs


def evaluated(state: TrainState) -> tuple[Tree, Tree]:
    """Returns (params, model_state) to evaluate: the averages if the run keeps them, else the last ones."""
    average = state.average
    return (average["params"], average["model_state"]) if average else (state.params, state.model_state)


def end_epoch(recipe: Recipe, state: TrainState, accuracy: jax.Array) -> TrainState:
    """Keeps the state as the best one if its validation accuracy [] is a new high, and clears the epoch's totals; a
    stopped seed keeps the totals of its last epoch."""
    latest = Best(accuracy, state.step, *evaluated(state))
    better = accuracy > state.best.accuracy
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), latest, state.best)
    state = state._replace(best=best)
    totals = jax.tree.map(lambda new, old: jnp.where(stopped(recipe, state), old, new), no_totals(recipe), state.totals)
    return state._replace(totals=totals)
