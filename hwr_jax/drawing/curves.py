"""Curves of one run or of several over each other: learning, calibration, and risk against coverage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwr_jax.core import canvas
from hwr_jax.drawing.record import Record
from hwr_jax.tasks import metrics, reliability, selective
from hwr_jax.workdir import figures

WIDTH = 7.5  # inches
POINTS = 400  # of a curve over the coverage, at most
FEW = 0.2  # of the errors are left: the axis of what is rejected ends at twice the share that this takes


def learning(path: Path, records: Sequence[Record]) -> None:
    """Draws loss and error on validation over the epochs: means, and the range of the seeds as a band."""
    with canvas.drawn(path, WIDTH, 3.4, title=_title("Validation", records)) as figure:
        panels, looks = figure.subplots(1, 2), canvas.looks(r.name for r in records)
        for record in records:
            look = looks[record.name]
            epochs, *values = figures.over_epochs(record.lines, "validation")
            for axes, of_seeds in zip(panels, values, strict=True):
                axes.plot(epochs, of_seeds.mean(1), label=record.name, **look)
                axes.fill_between(
                    epochs, of_seeds.min(1), of_seeds.max(1), color=look["color"], alpha=0.18, linewidth=0
                )
        figures.finish_curves(panels)
        canvas.legend(panels[1], len(records))


def calibration(path: Path, records: Sequence[Record]) -> None:
    """Draws accuracy over confidence, and below it how many test images have such a confidence. Each bin has all seeds
    together; a bin of fewer than ten predictions is left out of the upper panel."""
    with canvas.drawn(path, 5.6, 5.2, title=_title("Calibration", records, "{} together")) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=canvas.theme().ink, linewidth=0.8)
        looks = canvas.looks(r.name for r in records)
        for record in records:
            correct = record.correct
            ece = np.mean(
                [
                    metrics.expected_calibration_error(*of_seed)
                    for of_seed in zip(record.confidence, correct, strict=True)
                ]
            )
            found = reliability.bins(record.confidence.ravel(), correct.ravel())
            enough = found.count >= 10
            words = f"{record.name} (ECE {100 * ece:.2f} %)"
            upper.plot(found.confidence[enough], found.accuracy[enough], label=words, **looks[record.name])
            lower.plot(found.confidence, found.count / len(record.seeds), **looks[record.name])
        upper.set(ylabel="accuracy", xlim=(0, 1.01), ylim=(0, 1.02))
        upper.text(0.98, 0.04, "below the line: overconfident", fontsize=8, ha="right")
        lower.set(xlabel="confidence", ylabel="test images", yscale="log")
        canvas.plain_ticks_of(lower.yaxis, narrow=True)
        canvas.legend(upper, len(records), loc="upper left")


def risk_coverage(path: Path, records: Sequence[Record]) -> None:
    """Draws the error rate on what is accepted over the share that is rejected, the least sure first: means, and the
    range of the seeds."""
    with canvas.drawn(path, WIDTH, 3.6, title=_title("Errors among what is accepted", records)) as figure:
        axes, looks = figure.subplots(), canvas.looks(r.name for r in records)
        farthest = 0.01
        for record in records:
            each = [selective.risk_coverage(*one) for one in zip(record.confidence, record.correct, strict=True)]
            risk = 100 * np.stack(each)[:, ::-1]  # from none rejected
            rejected = 100 * np.arange(risk.shape[1]) / risk.shape[1]
            low_enough = np.flatnonzero(risk.mean(0) <= FEW * risk.mean(0)[0])  # one sure mistake can stay to the end
            farthest = max(farthest, float(rejected[low_enough[0] if len(low_enough) else -1]))
            some = np.unique(np.geomspace(1, len(rejected), POINTS).astype(int)) - 1
            look = {**looks[record.name], "marker": ""}
            axes.plot(rejected[some], risk.mean(0)[some], label=record.name, **look)
            low, high = risk.min(0)[some], risk.max(0)[some]
            axes.fill_between(rejected[some], low, high, color=look["color"], alpha=0.18, linewidth=0)
        axes.set(xlabel="rejected, the least sure first (%)", ylabel="error rate on what is accepted (%)")
        axes.set(xlim=(0, min(100.0, 2 * farthest)), ylim=(0, None))
        canvas.plain_ticks(axes)
        canvas.legend(axes, len(records))


def _title(what: str, records: Sequence[Record], how: str = "mean and range of {}") -> str:
    seeds = sorted({len(record.seeds) for record in records})
    words = " to ".join(map(str, seeds if len(seeds) < 3 else (seeds[0], seeds[-1])))
    one = f"{records[0].name} on {records[0].facts['name']}" if len(records) == 1 else records[0].facts["name"]
    return f"{what}: {one}" + ("" if seeds == [1] else f" ({how.format(f'{words} seeds')})")
