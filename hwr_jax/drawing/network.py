"""One seed's network of a run, opened to look inside: its scores as a function of pixels, and its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax import models
from hwr_jax.core.types import Tree
from hwr_jax.inference import predictor
from hwr_jax.models import inside
from hwr_jax.steps import train_step
from hwr_jax.steps.recipe import Recipe
from hwr_jax.workdir import figures

BATCH = 500  # images at once


class Network(NamedTuple):
    """A trained network of single characters."""

    seed: int
    recipe: Recipe
    variables: Tree  # of that seed, without a seed axis
    facts: dict[str, Any]  # about its data

    def framed(self, images: np.ndarray) -> jax.Array:
        """Returns images uint8 [N, H, W, 1] as the network's frame leaves them, float32 [N, H', W', 1] in 0..1."""
        return jax.jit(lambda image: train_step.framed(self.recipe, image))(np.asarray(images))

    def log_prob(self, framed: jax.Array) -> jax.Array:
        """Returns log probabilities float32 [N, K] of framed images float32 [N, H', W', 1] in 0..1."""
        standardised = train_step.standardise(self.recipe, framed)
        return jax.nn.log_softmax(self.recipe.model.apply(self.variables, standardised, train=False)[0])

    def watched(self, images: np.ndarray, layer: str) -> inside.Layer:
        """Returns what a layer takes and gives for images uint8 [N, H, W, 1], as NumPy arrays."""

        @jax.jit
        def calls(image):
            standardised = train_step.standardise(self.recipe, train_step.framed(self.recipe, image))
            return inside.watch(self.recipe.model, self.variables, standardised, layer)[1]

        parts = []
        for first in range(0, len(images), BATCH):
            part = np.asarray(images)[first : first + BATCH]
            padded = np.concatenate([part, np.zeros((-len(part) % min(BATCH, len(images)), *part.shape[1:]), np.uint8)])
            parts.append([np.asarray(x)[: len(part)] for x in calls(padded)])
        return inside.Layer(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def hidden(self, images: np.ndarray) -> np.ndarray:
        """Returns the last hidden layer, as the output layer takes it: float32 [N, D]."""
        taken = self.watched(images, models.head_of(self.variables["params"])).taken
        return taken.reshape(len(taken), -1).astype(np.float32)

    @property
    def first_convolution(self) -> str | None:
        """The name of the layer that convolves the image; None: there is none."""
        return figures.first_convolution(self.variables["params"])


def open_run(folder: Path, *, seed: int, log) -> Network:
    """Opens one seed of a run, in the state that its test results are of. See `predictor.load` for the errors."""
    bound, facts = predictor.open_run(folder)
    loaded = predictor.load(folder, seed=seed, log=log)
    params, model_state = jax.tree.map(lambda x: jnp.asarray(x[0]), (loaded.params, loaded.model_state))
    return Network(seed, bound.recipe, {"params": params, **model_state}, facts)
