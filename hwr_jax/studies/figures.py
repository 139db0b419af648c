"""The figures of a study: paired differences, learning curves, accuracy against time, and along an axis."""

from __future__ import annotations

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
WIDTH = 7.5  # inches
OVERLAID = 6  # curves on one pair of axes; more get a panel each
PANELS = 5  # in a row
FEW = 10  # epochs that get a mark each; values of an axis that get a tick each
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
    both = np.hstack([[paired.t for _, paired in shown], [paired.bootstrap for _, paired in shown]])
    low, high = limits(factor * np.stack([both.min(1), both.max(1)], axis=1))
    better = "right" if study.metric.higher_is_better else "left"
    with canvas.drawn(path, WIDTH, 1.2 + 0.3 * len(shown), title=study.question) as figure:
        axes, theme = figure.subplots(), canvas.theme()
        axes.axvline(0, color=theme.ink, linewidth=0.8)
        axes.set(xlim=(low, high), ylim=(-1, len(shown)))
        for y, (_, paired) in enumerate(shown):
            colour = theme.colours[0] if paired.claims(gain=study.metric.is_gain(paired.mean)) else theme.faint
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
        axes.set_yticks(range(len(shown)), [variant for variant, _ in shown])
        axes.grid(visible=False, axis="y")
        axes.set(
            xlabel=f"difference from {study.baseline} in {study.metric.words}, {study.metric.difference_unit} "
            f"({better}: better)\n"
            "line: Student's 95 % interval, band: bootstrap; blue: significant after Holm's correction"
        )
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
    curves = {name: _error_over_epochs(found) for name, found in curves.items() if found}
    if max((len(epochs) for epochs, _ in curves.values()), default=0) < 2:
        return False
    best = min(float(error.min()) for _, error in curves.values())
    draw = _overlaid if len(curves) <= OVERLAID else _side_by_side
    draw(path, study, curves, "log" if best > 0 else "linear")
    return True


def _error_over_epochs(found: list[dict[str, list]]) -> tuple[list[int], np.ndarray]:
    """Epochs [E] and the validation error in percent [seeds, E], as far as all seeds were trained: one may have
    stopped early."""
    length = min(len(curve["epoch"]) for curve in found)
    return found[0]["epoch"][:length], 100 * (1 - np.array([c["validation_accuracy"][:length] for c in found]))


def _overlaid(path: Path, study: Study, curves: dict[str, Any], scale: str) -> None:
    """A few variants on one pair of axes."""
    with canvas.drawn(path, WIDTH, 3.8, title=study.question) as figure:
        axes, looks = figure.subplots(), canvas.looks(study.variants)
        for name, (epochs, error) in curves.items():
            axes.plot(epochs, error.mean(0), label=name, **looks[name])
            axes.fill_between(epochs, error.min(0), error.max(0), color=looks[name]["color"], alpha=0.15, linewidth=0)
        axes.set(xlabel="epoch", ylabel="validation error (%)", yscale=scale)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _finish(figure, axes, len(curves))


def _side_by_side(path: Path, study: Study, curves: dict[str, Any], scale: str) -> None:
    """Many variants: a panel for each, with the baseline in every one, so that no bands lie on each other."""
    rows = -(-len(curves) // PANELS)
    with canvas.drawn(path, WIDTH, 0.9 + 1.35 * rows, title=study.question) as figure:
        panels = figure.subplots(rows, PANELS, sharex=True, sharey=True, squeeze=False)
        looks, ink = canvas.looks(study.variants), canvas.theme().ink
        for axes, (name, (epochs, error)) in zip(panels.flat, curves.items(), strict=False):
            if study.baseline in curves and name != study.baseline:
                axes.plot(curves[study.baseline][0], curves[study.baseline][1].mean(0), "--", color=ink, linewidth=1)
            axes.fill_between(epochs, error.min(0), error.max(0), color=looks[name]["color"], alpha=0.2, linewidth=0)
            mark = "." if len(epochs) <= FEW else ""
            axes.plot(epochs, error.mean(0), color=looks[name]["color"], marker=mark)
            axes.set_title(name, fontsize=9)
            axes.set_yscale(scale)
        lengths = [len(epochs) for epochs, _ in curves.values()]
        if max(lengths) > MANY_TIMES * min(lengths):
            panels[0, 0].set_xscale("log")
            canvas.plain_ticks_of(panels[0, 0].xaxis, narrow=True)
        else:
            panels[0, 0].xaxis.get_major_locator().set_params(integer=True)
        canvas.plain_ticks_of(panels[0, 0].yaxis)
        for axes in panels.flat[len(curves) :]:
            axes.set_visible(False)
        for axes in panels.flat[max(0, len(curves) - PANELS) : len(curves)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel(f"epoch; dashed: {study.baseline}; band: range of the seeds", fontsize=9)
        figure.supylabel("validation error (%)", fontsize=9)


def _time(path: Path, study: Study, rows: list[Row]) -> bool:
    """The metric against the seconds inside the steps. Of many variants only those are named that matter: the
    baseline, and those that no other one beats in both time and metric."""
    shown = [(row, row.test, row.train_seconds) for row in rows if row.test and row.train_seconds is not None]
    if not shown:
        return False
    metric, factor = study.metric, study.metric.factor
    named = {row.variant for row, _, _ in shown}
    if len(named) > canvas.LONGEST:
        sign = 1 if metric.higher_is_better else -1
        found = front([at for *_, at in shown], [sign * test["mean"] for _, test, _ in shown])
        by_value = sorted((shown[i] for i in found), key=lambda one: -sign * one[1]["mean"])
        named = {row.variant for row, _, _ in by_value[: canvas.LONGEST - 2]} | {study.baseline}
    with canvas.drawn(path, WIDTH, 3.8, title=study.question) as figure:
        axes, looks = figure.subplots(), canvas.looks(study.variants)
        others = f"{len(shown) - len(named)} others: one of these is\nas fast and as good"
        for row, test, at in sorted(shown, key=lambda one: one[0].variant not in named):
            low, high = test["ci95"] or (test["mean"], test["mean"])
            middle = factor * test["mean"]
            error = [[max(0.0, middle - factor * low)], [max(0.0, factor * high - middle)]]
            if row.variant in named:
                look: dict[str, Any] = {**looks[row.variant], "label": row.variant, "zorder": 3}
            else:
                look = {"color": canvas.theme().faint, "marker": ".", "label": others, "elinewidth": 0.7}
                others = "_"  # a row of the legend for all of them
            axes.errorbar(at, middle, error, capsize=3, **{**look, "linestyle": ""})
        seconds = [at for _, _, at in shown]
        scale = "log" if max(seconds) > MANY_TIMES * min(seconds) else "linear"
        axes.set(xlabel="seconds inside the steps, one trial", ylabel=f"{metric.words} ({metric.unit})", xscale=scale)
        lowest, highest = (factor * pick(test["mean"] for _, test, _ in shown) for pick in (min, max))
        if metric.higher_is_better and metric.unit == "%" and 100 - lowest > MANY_TIMES * (100 - highest):
            axes.set_yscale("function", functions=(_to_log_error, _from_log_error))
            axes.set_yticks(SHARES)
            ends = [factor * end for _, test, _ in shown for end in test["ci95"] or ()] or [lowest, highest]
            # an interval that reaches 100 % is cut off above
            top = 100 - max(0.8 * (100 - max(ends)), 0.2 * (100 - highest))
            axes.set_ylim(min(ends) - 0.1 * (100 - min(ends)), top)
        _finish(figure, axes, len(named) + 1)
    return True


def front(seconds: list[float], values: list[float]) -> list[int]:
    """Returns the indices of those that no other one beats: faster and better, or as fast and better, or as good and
    faster (Pareto's front). Higher values are better."""
    return [
        i
        for i, (at, value) in enumerate(zip(seconds, values, strict=True))
        if not any(
            other <= at and better >= value and (other < at or better > value)
            for other, better in zip(seconds, values, strict=True)
        )
    ]


def _to_log_error(percent: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(100 - percent, 1e-3))


def _from_log_error(logarithm: np.ndarray) -> np.ndarray:
    return 100 - np.exp(-logarithm)


def _finish(figure, axes, names: int) -> None:
    """Formats the ticks, and adds the legend on the right."""
    canvas.plain_ticks(axes)
    canvas.legend(figure, names, loc="outside right center")


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
    every = [factor * np.mean(list(errors.values())) for curve in curves.values() for errors in curve.values()]
    if min(every) <= 0:
        return False  # a logarithmic axis cannot show it
    top, beyond = REACH * float(np.median(every)), False
    with canvas.drawn(path, WIDTH, 3.8, title=study.question) as figure:
        axes, looks = figure.subplots(), canvas.looks(_series(study))
        for name, curve in curves.items():
            colour = looks[name]["color"]
            means = [factor * np.mean(list(errors.values())) for errors in curve.values()]
            axes.plot(list(curve), means, label=name, **looks[name])
            points = [(x, factor * error) for x, errors in curve.items() for error in errors.values()]
            axes.plot(*zip(*points, strict=True), ".", color=colour, alpha=0.3, markersize=4)
            of = [v for v in _series(study)[name] if any(r["variant"] == v and r.get("diverged") for r in records)]
            lost = [x for x in comparison.places(study, of) if x not in curve]
            lost += [x for x, mean in zip(curve, means, strict=True) if mean > top]
            beyond |= bool(lost)
            axes.plot(lost, [0.98] * len(lost), "x", color=colour, transform=axes.get_xaxis_transform())
        if fit is not None:
            x = np.array(list(curves[MEAN]))
            law = factor * fit["factor"] * x ** -fit["exponent"]
            axes.plot(x, law, "--", color=canvas.theme().colours[1], label="power law")
        complement = "100 % - " if metric.higher_is_better else ""
        what = f"{complement}{metric.words.replace('test', split)} ({metric.unit})"
        where = f"{study.axis} (x: above the axis, or diverged)" if beyond else study.axis
        axes.set(xlabel=where, ylabel=what, xscale="log", yscale="log")
        if max(every) > top:
            axes.set_ylim(0.7 * min(every), top)
        places = sorted({x for curve in curves.values() for x in curve})
        if len(places) <= FEW:
            axes.set_xticks(places)
            axes.set_xticks([], minor=True)
        _finish(figure, axes, len(curves) + 1)
    return True


def _series(study: Study) -> dict[str, list[str]]:
    return study.series or {MEAN: list(study.variants)}
