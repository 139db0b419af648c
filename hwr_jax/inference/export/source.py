"""What is exported: the chosen seeds of a run, or the model that comes with the package, opened once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Tree
from hwr_jax.inference import packaged, predictor
from hwr_jax.inference.predictor import Predictor
from hwr_jax.steps import train_step
from hwr_jax.steps.recipe import Recipe
from hwr_jax.transforms import views
from hwr_jax.workdir import run_folder


@dataclasses.dataclass(frozen=True)
class Source:
    """A model to export, and the records of its training."""

    folder: Path
    config: ConfigDict  # of the run
    environment: dict[str, Any]  # of the run
    model: Predictor
    recipe: Recipe
    which: str  # the state: last, best
    summary: dict[str, Any] | None = None  # of the run; None: the folder has none

    @property
    def shipped(self) -> bool:
        """Whether this is the model that comes with the package."""
        return self.folder == packaged.FOLDER

    @property
    def facts(self) -> dict[str, Any]:
        """Of the training data; see `Reader.facts`."""
        return self.model.facts

    @property
    def network(self) -> dict[str, Any]:
        """config.model and config.frame as dictionaries."""
        return self.model.plan.network

    def of_seed(self, index: int) -> tuple[Tree, Tree]:
        """Returns the parameters and the model state of one seed as NumPy arrays."""
        return jax.tree.map(lambda x: np.asarray(x[index]), (self.model.params, self.model.model_state))

    def seeds_in_words(self) -> str:
        """Returns which seeds these are, such as "the mean probability of seeds 0 and 1"."""
        *others, last = self.model.seeds
        return f"the mean probability of seeds {', '.join(map(str, others))} and {last}" if others else f"seed {last}"

    def in_words(self) -> str:
        """Returns which weights these are, such as "the last state, the mean probability of seeds 0 and 1"."""
        return f"the {self.which} state, {self.seeds_in_words()}"


def open_source(folder: Path | None, *, which: str, seed: int | None, log: Callable[[str], None]) -> Source:
    """Opens a run, or without one the model that comes with the package.

    Raises:
      ConfigError: not a run, or it has no such seed or state; several seeds of a network that reads strings.
      RunFolderError: no checkpoint can be used.
    """
    place = folder or packaged.FOLDER
    config, environment = run_folder.read_config(place), run_folder.read_environment(place)
    bound, _ = predictor.open_run(place, portable=True)
    model = predictor.load(place, which=which, seed=seed, log=log)
    if model.reads_strings and len(model.seeds) > 1:
        raise ConfigError(
            f"{place} reads strings with {len(model.seeds)} seeds, whose readings one graph cannot average: choose one "
            f"with --seed={model.seeds[0]} to --seed={model.seeds[-1]}"
        )
    summary = run_folder.read_summary(place) if (place / "summary.json").exists() else None
    return Source(place, config, environment, model, bound.recipe, which or bound.plan.checkpoint, summary)


def probabilities(source: Source) -> Callable[[jax.Array], jax.Array]:
    """Returns the model as one pure function: grey values float32 [N, H, W, 1] in 0..255 -> probabilities [N, K], or
    [N, T, K + 1] of a network that reads strings."""
    recipe = source.recipe
    weights = [source.of_seed(i) for i in range(len(source.model.seeds))]  # outside of any tracing: constants

    def of_seed(images, params, model_state):
        def score(image):
            variables = {"params": params, **model_state}
            return recipe.model.apply(variables, train_step.standardise(recipe, image), train=False)[0]

        framed = jax.vmap(recipe.frame)(images / 255)
        return jax.nn.softmax(views.mean_log_probability(score, framed, shift_px=recipe.eval_shift_px))

    def mean(images):
        found = [of_seed(images, *one) for one in weights]
        return found[0] if len(found) == 1 else jnp.mean(jnp.stack(found), axis=0)

    return mean


def reference(model: Predictor, images: np.ndarray) -> np.ndarray:
    """Returns what JAX computes for images uint8 [N, H, W, 1]: as `probabilities`, float32."""
    if not model.reads_strings:
        return model.predict(images)
    (outputs,) = model.outputs(Arrays(images, np.zeros((len(images), 1), np.int32)))  # only the loss needs labels
    return outputs.prob
