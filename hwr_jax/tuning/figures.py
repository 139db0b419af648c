"""The figures of a search: best value so far, pruned trials, importances, and slices. Optuna computes, we draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import canvas

FEWEST = 4  # trials that importances and slices need
PANELS = 4  # in a row
LONG = 22  # letters of all names of an axis; longer ones are written at a slant
WIDTH = 7.5  # inches


def draw_all(study: Any, folder: Path) -> list[str]:
    """Draws into the folder, and returns the file names."""
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if not done:
        return []
    drawn = ["history.png", "pruning.png"]
    _history(folder / "history.png", done)
    _pruning(folder / "pruning.png", trials, done)
    if len(done) >= FEWEST:
        _importances(folder / "importances.png", study)
        _slices(folder / "slices.png", done)
        drawn += ["importances.png", "slices.png"]
    return drawn


def _error(value: float) -> float:
    """Validation accuracy as error, %."""
    return 100 * (1 - value)


def _finish(*every: Any) -> None:
    """A logarithmic axis of the error, unless some error is 0."""
    for axes in every:
        if all(np.min(line.get_ydata()) > 0 for line in axes.lines if len(line.get_ydata())):
            axes.set_yscale("log")
    canvas.plain_ticks(*every)


def _history(path: Path, done: list[Any]) -> None:
    """Every finished trial, and the best so far."""
    numbers, errors = [trial.number for trial in done], np.array([_error(trial.value) for trial in done])
    with canvas.drawn(path, WIDTH, 3.4, title="Finished trials, and the best so far") as figure:
        axes, (of_trial, of_best, *_) = figure.subplots(), canvas.theme().colours
        axes.plot(numbers, errors, "o", color=of_trial, alpha=0.6, markersize=4, label="a finished trial")
        axes.step(numbers, np.minimum.accumulate(errors), where="post", color=of_best, label="best so far")
        axes.set(xlabel="trial", ylabel="validation error (%)")
        _finish(axes)
        axes.legend()


def _pruning(path: Path, trials: list[Any], done: list[Any]) -> None:
    """What each trial reached at each report: pruned ones end early. Three looks for hundreds of trials."""
    best = max(done, key=lambda trial: (trial.value, -trial.number))
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    theme = canvas.theme()
    kinds = [
        (f"pruned ({len(pruned)})", pruned, {"color": theme.faint, "linewidth": 0.7, "marker": ".", "markersize": 3}),
        (f"finished ({len(done)})", done, {"color": theme.colours[0], "linewidth": 0.8, "alpha": 0.45}),
        (f"best (trial {best.number})", [best], {"color": theme.colours[1], "linewidth": 2, "marker": "o"}),
    ]
    with canvas.drawn(path, WIDTH, 3.8, title="What the trials had reached when they were pruned") as figure:
        axes = figure.subplots()
        for words, of_kind, look in kinds:
            label = words
            for trial in of_kind:
                if trial.intermediate_values:
                    steps, values = zip(*sorted(trial.intermediate_values.items()), strict=True)
                    axes.plot(steps, [_error(value) for value in values], label=label, **look)
                    label = "_"  # one row of the legend for all of them
        axes.set(xlabel="epochs, of all seeds together", ylabel="validation error (%)")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _finish(axes)
        axes.legend()


def _importances(path: Path, study: Any) -> None:
    """How much of the variance of the finished trials each key explains (fANOVA: Hutter, Hoos & Leyton-Brown 2014)."""
    from optuna import importance

    found = importance.get_param_importances(study, evaluator=importance.FanovaImportanceEvaluator(seed=0))
    names, shares = list(found)[::-1], [100 * share for share in found.values()][::-1]
    with canvas.drawn(path, WIDTH, 1.1 + 0.3 * len(names), title="What decides the validation accuracy") as figure:
        axes = figure.subplots()
        bars = axes.barh(names, shares, color=canvas.theme().colours[0])
        axes.bar_label(bars, [f" {share:.0f} %" if share >= 1 else " < 1 %" for share in shares], fontsize=8)
        axes.set(xlabel="share of the variance of the finished trials (%)")
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.1)


def _slices(path: Path, done: list[Any]) -> None:
    """The error over the values of each key, a panel each; later trials are darker."""
    keys = sorted({key for trial in done for key in trial.params})
    rows = -(-len(keys) // PANELS)
    errors = np.array([_error(trial.value) for trial in done])
    late = np.array([trial.number for trial in done])
    with canvas.drawn(path, WIDTH, 0.7 + 2.0 * rows, title="The error over each searched key") as figure:
        panels = figure.subplots(rows, PANELS, sharey=True, squeeze=False)
        for axes, key in zip(panels.flat, keys, strict=False):
            has = np.array([key in trial.params for trial in done])
            values = [trial.params[key] for trial in done if key in trial.params]
            positions = _positions(axes, values, done[0].distributions.get(key))
            shown = axes.scatter(
                positions, errors[has], c=late[has], cmap="viridis_r", s=14, vmin=late.min(), vmax=late.max()
            )
            axes.set_xlabel(key, fontsize=8)
            axes.tick_params(labelsize=7.5)
        for axes in panels.flat[len(keys) :]:
            axes.set_visible(False)
        if errors.min() > 0:
            panels[0, 0].set_yscale("log")
        canvas.plain_ticks_of(panels[0, 0].yaxis)
        figure.supylabel("validation error (%)", fontsize=9)
        figure.colorbar(shown, ax=panels, label="trial", aspect=40, pad=0.01)


def _positions(axes: Any, values: list[Any], distribution: Any) -> np.ndarray:
    """Where the values lie on the axis, which gets their names if they are choices; points of a choice are spread a
    little, always in the same way."""
    if type(distribution).__name__ != "CategoricalDistribution":
        if getattr(distribution, "log", False):
            axes.set_xscale("log")
        canvas.plain_ticks_of(axes.xaxis, narrow=True)
        return np.array(values, np.float64)
    choices = sorted(set(values), key=_order)
    names = [str(choice).strip("'\"") for choice in choices]
    slant = sum(map(len, names)) > LONG
    axes.set_xticks(range(len(names)), names, rotation=35 if slant else 0, ha="right" if slant else "center")
    axes.set_xlim(-0.6, len(names) - 0.4)
    spread = 0.36 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)
    return np.array([choices.index(value) for value in values]) + spread


def _order(choice: Any) -> tuple[float, str]:
    """Numbers by their size, then words by the alphabet."""
    try:
        return float(choice), ""
    except (TypeError, ValueError):
        return float("inf"), str(choice)
