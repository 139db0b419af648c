"""Prediction: a pure function of a recipe, the weights of one seed, and examples."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from hwr_jax.core.types import Arrays, Outputs, Tree
from hwr_jax.steps import train_step
from hwr_jax.steps.recipe import Recipe
from hwr_jax.transforms import views


def predict(
    recipe: Recipe,
    params: Tree,
    model_state: Tree,
    arrays: Arrays,
    *,
    batch_size: int,
    place: Callable[[Tree], Tree] = lambda rows: rows,
) -> Outputs:
    """Predicts every example exactly once, batch by batch; the last batch is padded, and the padding dropped.

    Args:
      recipe: the run's functions.
      params, model_state: of one seed.
      arrays: uint8 [N, H, W, 1], int32 [N] (strings: [N, L]); N >= 1.
      batch_size: images per batch.
      place: puts a batch where it is computed.

    Returns:
      Outputs over N: loss without smoothing.
    """
    examples = arrays.image.shape[0]
    batches = -(-examples // batch_size)
    padded = jnp.minimum(jnp.arange(batches * batch_size), examples - 1).reshape(batches, batch_size)
    variables = {"params": params, **model_state}

    def one_batch(rows):
        picked = place(Arrays(arrays.image[rows], arrays.label[rows]))
        logits = views.mean_log_probability(
            lambda image: recipe.model.apply(variables, train_step.standardise(recipe, image), train=False)[0],
            train_step.framed(recipe, picked.image),
            shift_px=recipe.eval_shift_px,
        )
        pred = recipe.task.read(logits)
        loss, confidence = recipe.task.loss(logits, picked.label), recipe.task.confidence(logits, pred)
        return Outputs(loss, pred, jax.nn.softmax(logits), confidence)

    outputs = lax.map(one_batch, padded)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:examples], outputs)
