"""The network from scratch in place of the compiled programs: the same arguments, states and results.

Everything else stays compiled: the first weights, the order of the examples, the best state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax.core.types import Arrays, Outputs, Totals, TrainState, Tree
from hwr_jax.models import scratch
from hwr_jax.steps.recipe import Recipe


class Eager(NamedTuple):
    """A plain function that stands in for a jitted one."""

    function: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        """Calls it."""
        return self.function(*args)

    def lower(self, *args: Any) -> Eager:
        """Returns itself: there is nothing to lower."""
        return self

    def compile(self) -> Eager:
        """Returns itself: there is nothing to compile."""
        return self


def make(recipe: Recipe) -> dict[str, Eager]:
    """Returns the programs `steps` and `predict` in NumPy (see `compiled.Programs`)."""
    return {
        "steps": Eager(lambda *args: _steps(recipe, *args)),
        "predict": Eager(lambda *args: _predict(recipe, *args)),
    }


def _steps(recipe: Recipe, state: TrainState, arrays: Arrays, order: Any, count: Any) -> TrainState:
    image, label, order = (np.asarray(x) for x in (*arrays, order))
    seeds = jax.random.key_data(state.key)[:, -1]  # the root threefry key of a seed ends with the seed
    states = [
        _one_seed(recipe, jax.tree.map(lambda x, s=s: x[s], state), int(seeds[s]), image, label, order[s], int(count))
        for s in range(len(order))
    ]
    return jax.tree.map(lambda *x: jnp.stack(x), *states)


def _one_seed(
    recipe: Recipe, state: TrainState, seed: int, image: np.ndarray, label: np.ndarray, order: np.ndarray, count: int
) -> TrainState:
    settings = recipe.scratch
    assert settings is not None
    params, moments = (jax.tree.map(np.array, tree) for tree in (state.params, state.opt_state))
    first, loss, hits = int(state.step), np.float32(state.totals.loss), int(state.totals.hits)
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies by int32 step counts
        rates = np.asarray(jax.vmap(recipe.schedule)(jnp.arange(first, first + count)))
    for step, rate in enumerate(rates, first):
        rows = order[step % recipe.steps_per_epoch]
        x = pixels(recipe, image[rows])
        params, moments, losses, right = scratch.train_step(
            params, moments, x, label[rows], seed=seed, step=step, rate=float(rate), settings=settings
        )
        loss, hits = loss + losses.sum(), hits + right
    examples = int(state.totals.examples) + count * recipe.batch_size
    return state._replace(
        step=jnp.int32(first + count),
        params=jax.tree.map(jnp.asarray, params),
        opt_state=jax.tree.map(jnp.asarray, moments),
        totals=Totals(jnp.float32(loss), jnp.int32(hits), jnp.int32(examples)),
    )


def _predict(recipe: Recipe, params: Tree, model_state: Tree, arrays: Arrays) -> Outputs:
    settings = recipe.scratch
    assert settings is not None
    label = np.asarray(arrays.label)
    x = pixels(recipe, np.asarray(arrays.image))
    params = jax.tree.map(np.asarray, params)
    outputs = []
    for s in range(len(jax.tree.leaves(params)[0])):
        weights = jax.tree.map(lambda p, s=s: p[s], params)
        logits = scratch.forward(weights, x, settings.activation)[-1][1]
        target = scratch.one_hot(label, logits.shape[1], smoothing=0.0, dtype=logits.dtype)
        loss = scratch.cross_entropy(logits, target)
        prob = scratch.softmax(logits)
        outputs.append(Outputs(loss, logits.argmax(axis=1).astype(np.int32), prob, prob.max(axis=1)))
    return jax.tree.map(lambda *x: np.stack(x), *outputs)


def pixels(recipe: Recipe, image: np.ndarray) -> np.ndarray:
    """Turns uint8 images [B, H, W, 1] into float32 [B, H * W], standardised."""
    flat = image.reshape(len(image), -1).astype(np.float32) / np.float32(255)
    return (flat - np.float32(recipe.mean)) / np.float32(recipe.std)
