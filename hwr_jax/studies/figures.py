"""The figures of a study: paired differences, learning curves, accuracy against time, and along an axis."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import canvas
from hwr_jax.studies import comparison
from hwr_jax.studies.comparison import Row
from hwr_jax.studies.spec import Study

REACH = 6.0  # a forest plot extends to at most this multiple of the median interval
MANY_TIMES = 4.0  # values whose extremes differ by more than this factor get a logarithmic axis
MEAN = "mean of the seeds"
MARKS = "os^DvP*"  # seven, with ten colours: seventy names can be told apart
NAMES_A_COLUMN = 22  # of a legend
SHARES = (0, 20, 50, 80, 90, 95, 97, 98, 99, 99.5, 99.7, 99.8, 99.9)  # ticks, %, of such an axis


def draw_all(
    study: Study, records: list[dict[str, Any]], rows: list[Row], folder: Path, fit: dict[str, Any] | None
) -> list[str]:
    """Draws the figures that the records allow and returns their names; removes those of an earlier report."""
    drawn = {
        "differences.png": lambda path: _differences(path, study, rows),
        "curves.png": lambda path: _curves(path, study, records),
        "time.png": lambda path: _time(path, study, rows),
        "axis.png": lambda path: _axis(path, study, records, fit),
    }
    for name in drawn:
        (folder / name).unlink(missing_ok=True)
    return [name for name, draw in drawn.items() if draw(folder / name)]


def _differences(path: Path, study: Study, rows: list[Row]) -> bool:
    """A forest plot: the paired difference of each variant from the baseline, with both intervals."""
    shown = [(row.variant, row.paired) for row in rows[::-1] if row.paired is not None and row.paired.t is not None]
    if not any(paired.significant or paired.decidable for _, paired in shown):
        return False
    factor = study.metric.factor
    figure = canvas.figure(7.5, 1.2 + 0.38 * len(shown))
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    low, high = limits(factor * np.array([paired.t for _, paired in shown]))
    axes.set(xlim=(low, high), ylim=(-1, len(shown)))
    for y, (_, paired) in enumerate(shown):
        colour = "tab:blue" if paired.claims(gain=study.metric.is_gain(paired.mean)) else "tab:grey"
        middle = factor * paired.mean
        ends = factor * np.array(paired.t)
        for x, mark, beyond in ((low, "<", ends[0] < low), (high, ">", ends[1] > high)):
            if beyond:  # the interval continues outside
                axes.plot(x, y, mark, color=colour, clip_on=False)
        if low < middle < high:
            axes.plot(factor * np.array(paired.bootstrap), [y, y], color=colour, linewidth=5, alpha=0.3)
            axes.plot(ends, [y, y], color=colour, linewidth=1.5)
            axes.plot(middle, y, "o", color=colour)
        else:  # entirely outside
            x, side = (low, "left") if middle <= low else (high, "right")
            axes.annotate(f"  {middle:+.3g}  ", (x, y), ha=side, va="center", fontsize=8)
    better = "right" if study.metric.higher_is_better else "left"
    axes.set_yticks(range(len(shown)), [variant for variant, _ in shown])
    axes.set(
        xlabel=f"difference from {study.baseline} in {study.metric.words}, {study.metric.difference_unit} "
        f"({better}: better)\n"
        "line: Student's 95 % interval, band: bootstrap; blue: significant after Holm's correction"
    )
    figure.suptitle(study.question, fontsize=10)
    figure.savefig(path)
    return True


def limits(intervals: np.ndarray) -> tuple[float, float]:
    """Returns the ends of a forest plot's axis: all intervals [N, 2] fit, except those so far out (of a variant that
    learns nothing) that the others would be unreadable."""
    extent = np.abs(intervals).max(1)
    reach = REACH * np.quantile(extent[extent > 0], 0.5, method="lower") if extent.any() else 0.0
    near = intervals[extent <= reach]
    low, high = min(0.0, near[:, 0].min()), max(0.0, near[:, 1].max())
    margin = 0.04 * max(high - low, 1e-9)
    return low - margin, high + margin


def _curves(path: Path, study: Study, records: list[dict[str, Any]]) -> bool:
    """Validation error over the epochs, if there are several: means, with the range of the seeds as a band."""
    curves = {
        name: [r["curve"] for r in records if r["variant"] == name and not r.get("diverged")] for name in study.variants
    }
    curves = {name: found for name, found in curves.items() if found}
    if max((len(c["epoch"]) for found in curves.values() for c in found), default=0) < 2:
        return False
    figure, axes = _sheet(study, len(curves))
    for (name, found), mark in zip(curves.items(), itertools.cycle(MARKS), strict=False):
        length = min(len(c["epoch"]) for c in found)  # a seed may have stopped early
        error = 100 * (1 - np.array([c["validation_accuracy"][:length] for c in found]))
        epochs = found[0]["epoch"][:length]
        (line,) = axes.plot(epochs, error.mean(0), marker=mark, markersize=4, label=name)
        axes.fill_between(epochs, error.min(0), error.max(0), color=line.get_color(), alpha=0.15)
    best = max(value for found in curves.values() for c in found for value in c["validation_accuracy"])
    scale = "log" if best < 1 else "linear"
    axes.set(xlabel="epoch", ylabel="validation error (%)", yscale=scale)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _finish(figure, axes, len(curves), path)
    return True


def _time(path: Path, study: Study, rows: list[Row]) -> bool:
    """The metric against the seconds inside the steps."""
    shown = [(row, row.test, row.train_seconds) for row in rows if row.test and row.train_seconds is not None]
    if not shown:
        return False
    metric, factor = study.metric, study.metric.factor
    figure, axes = _sheet(study, len(shown))
    for (row, test, at), mark in zip(shown, itertools.cycle(MARKS), strict=False):
        low, high = test["ci95"] or (test["mean"], test["mean"])
        middle = factor * test["mean"]
        error = [[max(0.0, middle - factor * low)], [max(0.0, factor * high - middle)]]
        axes.errorbar(at, middle, error, marker=mark, capsize=3, linestyle="", label=row.variant)
    seconds = [at for _, _, at in shown]
    scale = "log" if max(seconds) > MANY_TIMES * min(seconds) else "linear"
    axes.set(xlabel="seconds inside the steps, one trial", ylabel=f"{metric.words} ({metric.unit})", xscale=scale)
    lowest, highest = (factor * pick(test["mean"] for _, test, _ in shown) for pick in (min, max))
    if metric.higher_is_better and metric.unit == "%" and 100 - lowest > MANY_TIMES * (100 - highest):
        axes.set_yscale("function", functions=(_to_log_error, _from_log_error))
        axes.set_yticks(SHARES)
        ends = [factor * end for _, test, _ in shown for end in test["ci95"] or ()] or [lowest, highest]
        # an interval that reaches 100 % is cut off above
        axes.set_ylim(min(ends) - 0.1 * (100 - min(ends)), 100 - max(0.8 * (100 - max(ends)), 0.2 * (100 - highest)))
    _finish(figure, axes, len(shown), path)
    return True


def _to_log_error(percent: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(100 - percent, 1e-3))


def _from_log_error(logarithm: np.ndarray) -> np.ndarray:
    return 100 - np.exp(-logarithm)


def _sheet(study: Study, names: int):
    """A figure with its axes, and room on the right for a legend of this many names."""
    figure = canvas.figure(6.3 + 1.4 * _columns(names), 4.2)
    axes = figure.subplots()
    axes.set_title("\n".join(textwrap.wrap(study.question, 85)), fontsize=10)
    return figure, axes


def _finish(figure, axes, names: int, path: Path) -> None:
    """Formats the ticks, adds grid and legend, and saves the file."""
    from matplotlib.ticker import FuncFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
        if axis.get_scale() == "log":
            _label_between(axis)
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside right upper", fontsize=7, ncols=_columns(names))
    figure.savefig(path)


def _label_between(axis) -> None:
    """Labels 2 and 5 between the powers of ten; on a short axis every digit, on a long one none."""
    from matplotlib.ticker import FuncFormatter

    low, high = axis.get_view_interval()
    digits = () if high > 1000 * low else (2, 5) if high > 20 * low else range(2, 10)

    def label(value: float, position: int) -> str:
        return f"{value:g}" if round(value / 10 ** np.floor(np.log10(value)), 6) in digits else ""

    axis.set_minor_formatter(FuncFormatter(label))


def _columns(names: int) -> int:
    return -(-names // NAMES_A_COLUMN)


def _axis(path: Path, study: Study, records: list[dict[str, Any]], fit: dict[str, Any] | None) -> bool:
    """The error along the study's axis: every seed, the mean, and the power law if there is one. A study with SERIES
    gets a curve for each, of the validation error, because they are there to choose from."""
    if not study.axis:
        return False
    split = "validation" if study.series else "test"
    curves = {name: comparison.along_axis(study, records, of, split=split) for name, of in _series(study).items()}
    curves = {name: curve for name, curve in curves.items() if len(curve) > 1}
    if not curves:
        return False
    metric, factor = study.metric, study.metric.factor
    figure, axes = _sheet(study, len(curves))
    every = [factor * np.mean(list(errors.values())) for curve in curves.values() for errors in curve.values()]
    if min(every) <= 0:
        return False  # a logarithmic axis cannot show it
    top, beyond = REACH * float(np.median(every)), False
    for (name, curve), mark in zip(curves.items(), itertools.cycle(MARKS), strict=False):
        means = [factor * np.mean(list(errors.values())) for errors in curve.values()]
        (line,) = axes.plot(list(curve), means, marker=mark, label=name)
        points = [(x, factor * error) for x, errors in curve.items() for error in errors.values()]
        axes.plot(*zip(*points, strict=True), ".", color=line.get_color(), alpha=0.3, markersize=4)
        of = [v for v in _series(study)[name] if any(r["variant"] == v and r.get("diverged") for r in records)]
        lost = [x for x in comparison.places(study, of) if x not in curve]
        lost += [x for x, mean in zip(curve, means, strict=True) if mean > top]
        beyond |= bool(lost)
        axes.plot(lost, [0.98] * len(lost), "x", color=line.get_color(), transform=axes.get_xaxis_transform())
    if fit is not None:
        x = np.array(list(curves[MEAN]))
        axes.plot(x, factor * fit["factor"] * x ** -fit["exponent"], "--", color="tab:red", label="power law")
    complement = "100 % - " if metric.higher_is_better else ""
    what = f"{complement}{metric.words.replace('test', split)} ({metric.unit})"
    where = f"{study.axis} (x: above the axis, or diverged)" if beyond else study.axis
    axes.set(xlabel=where, ylabel=what, xscale="log", yscale="log")
    if max(every) > top:
        axes.set_ylim(0.7 * min(every), top)
    _finish(figure, axes, len(curves), path)
    return True


def _series(study: Study) -> dict[str, list[str]]:
    return study.series or {MEAN: list(study.variants)}
