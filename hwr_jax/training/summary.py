"""The end of a run: the test set read once, predictions.npz, figures and summary.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hwr_jax.core import digests, files, rng
from hwr_jax.core.types import Outputs, TrainState, Tree
from hwr_jax.distributed import processes
from hwr_jax.inference import evaluation
from hwr_jax.steps.compiled import Programs
from hwr_jax.steps.cost import step_cost
from hwr_jax.steps.run import Run, on_device
from hwr_jax.tasks import metrics
from hwr_jax.training import transfer
from hwr_jax.workdir import logs, run_folder, trackers


def finish(
    run: Run,
    programs: Programs,
    state: TrainState,
    folder: Path,
    board: trackers.Board,
    timing: logs.Timing,
    *,
    warm_start: transfer.WarmStart | None = None,
) -> dict[str, Any]:
    """Evaluates the state that config.eval.checkpoint names on the test set, once; writes predictions and summary.

    Args:
      run, state: trained.
      programs: see `read`.
      folder: the run folder, which this process writes to.
      board, timing: open in that folder.
      warm_start: the weights that the run began with, to compare with the final ones; None: random ones.

    Returns:
      The content of summary.json.
    """
    outputs = read(run, programs, run.programs.predict, state)
    scores: dict[str, Any] = {}
    for split, of_seeds in outputs.items():
        arrays = getattr(run.dataset, split)
        scores[split] = evaluation.scores(arrays, of_seeds) | {"ensemble": evaluation.ensemble(arrays, of_seeds)}
    evaluation.save_predictions(folder / run_folder.PREDICTIONS, run.dataset.test, outputs["test"], run.seeds)
    per_seed = {name: np.array(scores["test"][name]["per_seed"]) for name in ("loss", "accuracy")}
    line = logs.metrics_line(_epochs(run, state), int(state.step[0]), "test", run.seeds, **per_seed)
    line |= run_folder.origin(folder)
    files.append_json_line(folder / "metrics.jsonl", line)
    board.write(line)
    params, model_state = evaluation.chosen(state, run.plan.checkpoint)
    transferred = {}
    if warm_start is not None:
        transferred = {"transfer": transfer.compare(run, warm_start, (params, model_state))}
    if processes.is_main_process():
        _draw(run, folder, outputs["test"], jax.tree.map(lambda x: np.asarray(x)[0], params))
    timing.write("evaluation")
    summary = _summary(run, state, scores, folder) | transferred
    files.write_json(folder / "summary.json", summary)
    board.results(summary)
    return summary


def read(run: Run, programs: Programs, predict_test: Any | None, state: TrainState) -> dict[str, list[Outputs]]:
    """Returns the outcomes of each seed on the validation set and, once, on the test set.

    `programs`: those of training, whose compiled `predict` has the shapes of the validation set. `predict_test`: one
    for the shapes of the test set; None leaves the test set alone.
    """
    weights = evaluation.chosen(state, run.plan.checkpoint)
    return {
        split: evaluation.on_host(predict(*weights, on_device(run, getattr(run.dataset, split))))
        for split, predict in (("validation", programs.predict), ("test", predict_test))
        if predict is not None
    }


def _epochs(run: Run, state: TrainState) -> int:
    """How many epochs were trained: fewer than planned if every seed stopped early."""
    return int(state.step[0]) // run.recipe.steps_per_epoch


def _draw(run: Run, folder: Path, outputs: list[Outputs], params: Tree) -> None:
    from hwr_jax.workdir import figures

    def augment(image):
        key = rng.stream(rng.root(run.seeds[0]), "figures")
        keys = rng.per_example(key, jnp.arange(len(image)))
        return np.asarray(jax.jit(jax.vmap(lambda k, i: run.recipe.augment(k, run.recipe.frame(i))))(keys, image))

    name = f"{run.plan.name} trained on {run.dataset.name}"
    shown = augment if run.recipe.augmented or any(run.plan.network["frame"].values()) else None
    figures.draw_all(folder, run.dataset, outputs, params, name=name, seeds=run.seeds, augment=shown)


def _summary(run: Run, state: TrainState, scores: dict[str, dict], folder: Path) -> dict[str, Any]:
    cost = step_cost(run.recipe, state, run.dataset.train)
    detail = {key: scores["test"][key] for key in metrics.DETAILS if key in scores["test"]}
    scalars = {
        split: {key: value for key, value in values.items() if key not in detail} for split, values in scores.items()
    }
    return {
        "dataset": run.dataset.name,
        "dataset_version": run.dataset.version,
        "dataset_sha256": run.dataset.sha256,
        "examples": {split: len(getattr(run.dataset, split).label) for split in run_folder.SPLITS},
        "classes": list(run.dataset.classes),
        "seeds": run.seeds,
        "over_seeds": run.how,
        "epochs": _epochs(run, state),
        "steps": int(state.step[0]),
        "parameters": sum(int(np.prod(p.shape[1:])) for p in jax.tree.leaves(state.params)),
        "flops_per_image": cost.flops_per_image,
        "checkpoint": run.plan.checkpoint,
        "state_sha256": digests.of_tree((state.params, state.model_state, state.average)),
        "skipped_updates": [int(n) for n in state.faults.skipped],
        "learning_rate_scale": [float(x) for x in state.faults.scale],
        "code": run_folder.codes(run_folder.read_environment(folder)),
        "best_step": [int(s) for s in state.best.step],
        **scalars,
        **logs.total_times(folder / "timing.jsonl"),
        **detail,
    }
