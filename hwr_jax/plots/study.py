"""The figures of a study: paired differences, learning curves, accuracy against time, and along an axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax import comparison
from hwr_jax.comparison import Row
from hwr_jax.plots import canvas
from hwr_jax.study_file import METRICS, Study


def draw_all(
    study: Study, records: list[dict[str, Any]], rows: list[Row], folder: Path, fit: dict[str, Any] | None
) -> list[str]:
    """Draws what the records give, and returns the names of the files."""
    drawn = {
        "differences.png": lambda path: _differences(path, study, rows),
        "curves.png": lambda path: _curves(path, study, records),
        "time.png": lambda path: _time(path, study, rows),
        "axis.png": lambda path: _axis(path, study, records, fit),
    }
    return [name for name, draw in drawn.items() if draw(folder / name)]


def _differences(path: Path, study: Study, rows: list[Row]) -> bool:
    """A forest plot: the paired difference of each variant to the baseline, with both intervals."""
    shown = [(row.variant, row.paired) for row in rows[::-1] if row.paired is not None and row.paired.t is not None]
    if not shown:
        return False
    words, higher, factor, unit = METRICS[study.metric]
    figure = canvas.figure(7.5, 1.2 + 0.38 * len(shown))
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    for y, (_, paired) in enumerate(shown):
        colour = "tab:blue" if paired.significant else "tab:grey"
        axes.plot(factor * np.array(paired.bootstrap), [y, y], color=colour, linewidth=5, alpha=0.3)
        axes.plot(factor * np.array(paired.t), [y, y], color=colour, linewidth=1.5)
        axes.plot(factor * paired.mean, y, "o", color=colour)
    better = "right" if higher else "left"
    axes.set_yticks(range(len(shown)), [variant for variant, _ in shown])
    axes.set(
        xlabel=f"difference to {study.baseline} in {words}, {'points' if unit == '%' else unit} ({better}: better)\n"
        "line: Student's 95 % interval, band: bootstrap; blue: significant after Holm's correction"
    )
    figure.suptitle(study.question, fontsize=10)
    figure.savefig(path)
    return True


def _curves(path: Path, study: Study, records: list[dict[str, Any]]) -> bool:
    """Validation error over the epochs: means, and the range of the seeds as bands; of trials of several epochs."""
    curves = {
        name: [r["curve"] for r in records if r["variant"] == name and not r.get("diverged")] for name in study.variants
    }
    curves = {name: found for name, found in curves.items() if found}
    if max((len(c["epoch"]) for found in curves.values() for c in found), default=0) < 2:
        return False
    figure = canvas.figure(7.5, 4.2)
    axes = figure.subplots()
    for name, found in curves.items():
        length = min(len(c["epoch"]) for c in found)  # a seed may have stopped early
        error = 100 * (1 - np.array([c["validation_accuracy"][:length] for c in found]))
        epochs = found[0]["epoch"][:length]
        (line,) = axes.plot(epochs, error.mean(0), marker=".", label=name)
        axes.fill_between(epochs, error.min(0), error.max(0), color=line.get_color(), alpha=0.15)
    axes.set(xlabel="epoch", ylabel="validation error (%)", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7, ncols=2)
    figure.suptitle(study.question, fontsize=10)
    figure.savefig(path)
    return True


def _time(path: Path, study: Study, rows: list[Row]) -> bool:
    """The metric against the seconds inside the steps."""
    shown = [(row, row.test) for row in rows if row.test is not None and row.train_seconds is not None]
    if not shown:
        return False
    words, _, factor, unit = METRICS[study.metric]
    figure = canvas.figure(7.5, 4.2)
    axes = figure.subplots()
    for row, test in shown:
        low, high = test["ci95"] or (test["mean"], test["mean"])
        middle = factor * test["mean"]
        error = [[max(0.0, middle - factor * low)], [max(0.0, factor * high - middle)]]
        axes.errorbar(row.train_seconds, middle, error, marker="o", capsize=3, label=row.variant)
    axes.set(xlabel="seconds inside the steps, one trial", ylabel=f"{words} ({unit})", xscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    figure.suptitle(study.question, fontsize=10)
    figure.savefig(path)
    return True


def _axis(path: Path, study: Study, records: list[dict[str, Any]], fit: dict[str, Any] | None) -> bool:
    """The error along the study's axis, every seed and the mean, with the power law where there is one."""
    if not study.axis:
        return False
    x, error = comparison.along_axis(study, records)
    if len(x) < 2 or not error.size:
        return False
    words, higher, factor, unit = METRICS[study.metric]
    figure = canvas.figure(6.5, 4.2)
    axes = figure.subplots()
    axes.plot(x, factor * error, ".", color="tab:grey", alpha=0.5)
    axes.plot(x, factor * error.mean(1), "o-", color="tab:blue", label="mean of the seeds")
    if fit is not None:
        axes.plot(x, factor * fit["factor"] * x ** -fit["exponent"], "--", color="tab:red", label="power law")
    axes.set(xlabel=study.axis, ylabel=f"{'100 % - ' if higher else ''}{words} ({unit})", xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.suptitle(study.question, fontsize=10)
    figure.savefig(path)
    return True
