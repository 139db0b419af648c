"""A trained model, ready to read images: pictures, scans and exports all get their predictions here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from hwr_jax.config import check
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.core.types import Arrays, Outputs, TrainState, Tree
from hwr_jax.inference import evaluation
from hwr_jax.inference.reader import BEAM, Reader, doubt_of_length
from hwr_jax.pictures import normalise
from hwr_jax.steps.compiled import Programs, reader
from hwr_jax.steps.plan import Plan, make_plan, with_reading
from hwr_jax.steps.run import Bound, bind
from hwr_jax.tasks import ctc, metrics
from hwr_jax.workdir import checkpoint, run_folder, weights

IMAGES_PER_CALL = 1000  # bounds the memory of a call
_search = jax.jit(ctc.beam_search, static_argnames="width")


@dataclass(frozen=True)
class Predictor(Reader):
    """The chosen seeds of a run, and what is needed to use them.

    `predict`, `read` and `read_pictures` compile a program for each number of images up to the next power of two, not
    for each number: the images are padded, and the results of the padding dropped. So 1,000 pictures that arrive one to
    sixty at a time cost seven compilations. A Predictor never changes: threads may share it.
    """

    plan: Plan
    seeds: list[int]
    programs: Programs
    params: Tree  # [S, ...]
    model_state: Tree  # [S, ...]

    @property
    def reads_strings(self) -> bool:
        """Whether the model reads strings, not one class per image."""
        return self.plan.reads_strings

    @functools.cached_property
    def _reader(self) -> Callable[[np.ndarray], jax.Array]:
        return reader(self.programs, self.params, self.model_state, strings=self.reads_strings)

    def outputs(self, arrays: Arrays) -> list[Outputs]:
        """Evaluates images uint8 [N, H, W, 1] with labels int32 [N]; returns loss, pred and prob of each seed.

        Raises:
          ValueError: no images; `predict` and `read` take none, and return nothing.
        """
        if not len(arrays.label):
            raise ValueError("there is no image to evaluate: arrays must hold at least one")
        return evaluation.on_host(self.programs.predict(self.params, self.model_state, arrays))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities float32 [N, K] of images uint8 [N, H, W, 1], or [N, H, W] (0 = paper, 255 = ink).

        With several seeds: the mean of their probabilities.

        Raises:
          ValueError: another shape or dtype, or a model that reads strings (see `read`).
        """
        if self.reads_strings:
            raise ValueError("this model reads strings, which have no probability per class: use read")
        parts = [np.mean(prob[:, :count], axis=0) for prob, count in self._in_parts(images)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)

    def read(self, images: np.ndarray, *, best: int = 4) -> list[list[tuple[str, float]]]:
        """Reads images uint8 [N, H, W, 1] or [N, H, W]. Returns for each the `best` classes (or strings) with their
        probabilities, the most probable first. With several seeds: the mean of their probabilities.

        Raises:
          ValueError: another shape or dtype.
        """
        if not self.reads_strings:
            return super().read(images, best=best)
        width = max(BEAM, best, self.plan.beam)
        found: list[list[tuple[str, float]]] = []
        for of_seeds, count in self._in_parts(images):
            means: list[dict[str, float]] = [{} for _ in range(count)]
            for of_seed in of_seeds:
                strings, log_prob = map(np.asarray, _search(np.log(np.maximum(of_seed, 1e-30)), width))
                shares = np.exp(log_prob) / len(of_seeds)
                for mean, rows, probs in zip(means, strings[:count], shares[:count], strict=True):
                    for row, prob in zip(rows, probs, strict=True):
                        text = metrics.text(row, self.classes)
                        mean[text] = mean.get(text, 0.0) + float(prob)
            found += [sorted(mean.items(), key=lambda item: -item[1])[:best] for mean in means]
        return found

    def judged(self, found: normalise.Normalised) -> normalise.Normalised:
        """Adds the doubt about a line with more characters than any that the model was trained on."""
        return doubt_of_length(found, self.plan.longest) if self.reads_strings else found

    def _in_parts(self, images: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Reads IMAGES_PER_CALL images at a time, padded to a `bucket`; yields the probabilities [S, N, ...], and how
        many of them are not of padding."""
        images = self.checked(images)
        for first in range(0, len(images), IMAGES_PER_CALL):
            part = images[first : first + IMAGES_PER_CALL]
            size = bucket(len(part), self.plan.eval_batch)
            padded = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), np.uint8)])
            yield np.asarray(self._reader(padded)), len(part)


def bucket(count: int, batch: int) -> int:
    """Returns the number of images that a call of `count` (1 to IMAGES_PER_CALL) is padded to.

    A power of two up to a whole evaluation `batch`; above, a power of two of whole batches.
    """
    unit, limit = (1, batch) if count <= batch else (batch, IMAGES_PER_CALL)
    while unit < count:
        unit *= 2
    return min(unit, limit, IMAGES_PER_CALL)


def open_run(
    workdir: str | Path, *, reading: Mapping[str, int | None] | None = None, portable: bool = False
) -> tuple[Bound, dict]:
    """Reads a run folder without its checkpoints: the programs on one device, and the facts of the training data.

    `portable` programs have no kernels of this machine: they can be exported.

    Raises:
      ConfigError: not a run folder, or `reading` (see `load`) does not apply to its model.
    """
    folder = Path(workdir)
    config = run_folder.read_config(folder)
    check.check_recorded(config, folder)
    given = {key: value for key, value in (reading or {}).items() if value is not None}
    if "beam" in given and not make_plan(config).reads_strings:
        raise ConfigError(
            f"--beam={given['beam']} applies to models that read strings, and {folder} names one class per image"
        )
    if given:
        config = with_reading(config, given)
    facts = run_folder.read_environment(folder)["dataset"]
    bound = bind(
        config,
        examples=facts["examples"]["train"],
        shape=tuple(facts["shape"]),
        classes=len(facts["classes"]),
        mean=facts["mean"],
        std=facts["std"],
        devices=None,
        portable=portable,
    )
    return bound, facts


def load(
    workdir: str | Path,
    *,
    which: str = "",
    seed: int | None = None,
    reading: Mapping[str, int | None] | None = None,
    log=print,
) -> Predictor:
    """Loads the newest checkpoint of a run that verifies.

    >>> import numpy as np
    >>> model = load("runs/digits-smoke")
    >>> model.predict(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 10)

    Args:
      workdir: the run folder.
      which: 'last', 'best' (on validation) or '': as in the run's config.
      seed: one of the run's seeds; None: all.
      reading: `beam` and `shift_px` in place of those of config.eval; None, or a value of None: as in the config.
      log: called with a message for each checkpoint that cannot be used.

    Raises:
      ConfigError: not a run folder, or it has no such seed or state.
      RunFolderError: no checkpoint can be used.
    """
    bound, facts = open_run(workdir, reading=reading)
    seeds = bound.seeds
    if seed is not None and seed not in seeds:
        raise ConfigError(f"--seed={seed} was not trained in {workdir}; use one of {', '.join(map(str, seeds))}")
    if (Path(workdir) / weights.NAME).is_file():
        params, model_state = _released(Path(workdir), bound, which)
    else:
        with checkpoint.Checkpoints(Path(workdir), read_only=True) as checkpoints:
            state = _newest(checkpoints, bound, log)
            if state is None:
                raise RunFolderError(
                    f"{workdir} has no checkpoint that can be used: train it with `python -m hwr_jax.main`"
                )
        params, model_state = evaluation.chosen(state, which or bound.plan.checkpoint)
    if seed is not None:
        one = seeds.index(seed)
        params, model_state = jax.tree.map(lambda x: x[one : one + 1], (params, model_state))
        seeds = [seed]
    return Predictor(facts, bound.plan, seeds, bound.programs, params, model_state)


def _released(folder: Path, bound: Bound, which: str) -> tuple[Tree, Tree]:
    """Reads the weights of a released model, which has no other state than the one it was released with."""
    if which and which != bound.plan.checkpoint:
        raise ConfigError(
            f"--checkpoint={which} is not in {folder}, which holds {bound.plan.checkpoint} alone: leave it out"
        )
    found, state = weights.read(folder), bound.state_shapes()
    wanted = (state.params, state.model_state)
    shapes = [jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree) for tree in (found, wanted)]
    if shapes[0] != shapes[1]:
        raise RunFolderError(
            f"{folder / weights.NAME} does not hold the arrays of the network that its config.json describes"
        )
    return found


def _newest(checkpoints: checkpoint.Checkpoints, bound: Bound, log: Callable[[str], None]) -> TrainState | None:
    """Reads the newest state. If a trainer removes it meanwhile, there is a newer one."""
    step = checkpoints.newest(log)
    while step is not None:
        try:
            return checkpoints.restore(step, bound.state_shapes())
        except RunFolderError:
            before, step = step, checkpoints.newest(log)
            if step == before:
                raise
    return None
