"""The gradient of a batch, whole or in parts one after another, and the sums that training reports."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from hwr_jax.core.types import Batch, Totals, TrainState, Tree
from hwr_jax.steps.recipe import Recipe
from hwr_jax.tasks.metrics import right


def of_batch(
    recipe: Recipe, params: Tree, model_state: Tree, batch: Batch, key: jax.Array, *, axis_name: str | None = None
) -> tuple[Tree, Totals, Tree]:
    """Returns the gradient of the mean loss, the sums over the batch, and the model's new state.

    Split into `recipe.accumulate` parts, it needs the memory of one part. The gradient is the same, except that batch
    statistics are those of each part, and each part draws its own dropout masks. Part k takes every `accumulate`-th
    example, so that devices that share the batch share each part too.

    Args:
      recipe: the run's functions.
      params, model_state: of one seed.
      batch: image float32 [B, H, W, 1], label int32 [B] (or [B, L]).
      key: of dropout, for this step.
      axis_name: see `train_step.train_step`.
    """
    parts = recipe.accumulate
    if parts == 1:
        return _of_part(recipe, params, model_state, batch, key, axis_name)
    batches = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(parts))

    def add(carry, part):
        grads, sums, model_state = carry
        key, batch = part
        part_grads, part_sums, model_state = _of_part(recipe, params, model_state, batch, key, axis_name)
        return (jax.tree.map(jnp.add, grads, part_grads), jax.tree.map(jnp.add, sums, part_sums), model_state), None

    zeros, no_sums = jax.tree.map(jnp.zeros_like, params), zero_totals()
    if axis_name is not None:
        no_sums = lax.pcast(no_sums, axis_name, to="varying")
    (grads, sums, model_state), _ = lax.scan(add, (zeros, no_sums, model_state), (keys, batches))
    return jax.tree.map(lambda g: g / parts, grads), sums, model_state


def zero_totals() -> Totals:
    """Returns the sums of no examples."""
    return Totals(jnp.float32(0), jnp.int32(0), jnp.int32(0))


def _of_part(
    recipe: Recipe, params: Tree, model_state: Tree, batch: Batch, key: jax.Array, axis_name: str | None
) -> tuple[Tree, Totals, Tree]:
    trained = recipe.trained  # if some layers are frozen, all compute as in evaluation: no dropout, running statistics

    def loss_fn(params):
        if trained is not None:
            params = {name: p if name in trained else lax.stop_gradient(p) for name, p in params.items()}
        variables, rngs = {"params": params, **model_state}, {"dropout": key}
        logits, updated = recipe.model.apply(
            variables, batch.image, train=trained is None, rngs=rngs, axis_name=axis_name
        )
        loss = recipe.loss(logits, batch.label)
        if batch.partner is not None and batch.share is not None:
            loss = batch.share * loss + (1 - batch.share) * recipe.loss(logits, batch.partner)
        return jnp.mean(loss), (loss, logits, updated)

    grads, (loss, logits, updated) = jax.grad(loss_fn, has_aux=True)(params)
    hits = jnp.sum(right(recipe.task.guess(logits), batch.label), dtype=jnp.int32)
    return grads, Totals(jnp.sum(loss), hits, jnp.int32(loss.shape[0])), updated


def if_finite(numbers: Tree, after: TrainState, before: TrainState) -> TrainState:
    """Returns `after` if all the numbers are finite, else `before` with one more skipped update counted."""
    finite = jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(numbers)]).all()
    faults = before.faults
    skipped = jnp.int32(~finite)
    in_a_row = (faults.in_a_row + skipped) * skipped
    longest = jnp.maximum(faults.longest, in_a_row)
    faults = faults._replace(skipped=faults.skipped + skipped, in_a_row=in_a_row, longest=longest)
    chosen = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, before)
    return chosen._replace(key=before.key, best=before.best, faults=faults)
