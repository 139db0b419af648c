"""The table of the classes: how many, how well read, and what they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import canvas
from hwr_jax.drawing.record import Record
from hwr_jax.tasks import metrics
from hwr_jax.workdir import figures

COLUMNS = {"count": 0.1, "precision": 0.26, "recall": 0.4, "F1": 0.53, "most often read as": 0.58}  # 0..1
ROW_IN = 0.27
ROWS = 1000  # a picture of more would be higher than 2**15 pixels, which few programs show


def scores(record: Record) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns precision, recall and F1 of each seed and class, float64 [S, K], with `support` int64 [S, K]; and the
    confusion matrix int64 [K, K], summed over the seeds."""
    each = [metrics.confusion_matrix(record.label, pred, len(record.classes)) for pred in record.pred]
    found = [metrics.per_class(one) for one in each]
    return {key: np.stack([one[key] for one in found]) for key in found[0]}, np.sum(each, axis=0)


def table(path: Path, records: Sequence[Record]) -> None:
    """Draws the table of the first run, and beside it 100 - F1 (%) of all runs: means, and the range of the seeds. A
    class without test images, such as `none`, has only its name and the count 0. Of more than ROWS classes, those with
    the most mistakes are drawn."""
    first, found = records[0], [scores(record)[0] for record in records]
    confusion = scores(first)[1]
    shown, some = figures.most_mistaken(confusion, ROWS)
    title = f"Classes: {first.name} on {first.facts['name']}{' (right: all runs)' if len(records) > 1 else ''}{some}"
    with canvas.drawn(path, 7.5, 1.2 + ROW_IN * len(shown), title=title) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1.9, 1), sharey=True)
        _write(left, first.classes, shown, found[0], confusion)
        looks = canvas.looks(r.name for r in records)
        for i, (record, of_run) in enumerate(zip(records, found, strict=True)):
            tested = np.flatnonzero(of_run["support"][0, shown])
            missed = 100 * (1 - of_run["f1"][:, shown[tested]])
            rows = tested + 0.5 * ((i + 0.5) / len(records) - 0.5)  # beside each other
            look = {**looks[record.name], "linestyle": ""}
            right.hlines(rows, missed.min(0), missed.max(0), color=look["color"], alpha=0.4, linewidth=2)
            right.plot(missed.mean(0), rows, label=record.name, clip_on=False, zorder=3, **look)  # whole at 0, too
        right.set(xlabel="100 - F1 (%); line: range of the seeds", xlim=(0, None))
        right.tick_params(left=False)
        canvas.plain_ticks_of(right.xaxis)
        if len(records) > 1:
            canvas.legend(figure, len(records), loc="outside lower center")


def _write(
    axes: Any, classes: Sequence[str], shown: np.ndarray, found: dict[str, np.ndarray], confusion: np.ndarray
) -> None:
    """Writes the numbers of the classes int [n] that are shown, as means over the seeds."""
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.7), xticks=[])
    axes.set_yticks(range(len(shown)), [classes[k] for k in shown])
    axes.tick_params(left=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.xaxis.set_label_position("top")
    for row in range(1, len(shown), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=canvas.theme().faint, alpha=0.15, linewidth=0)
    for name, x in COLUMNS.items():
        axes.text(x, -0.75, name, ha=_side(name), va="bottom", fontsize=8)
    for row, k in enumerate(shown):
        support = int(found["support"][0, k])
        shares = [found[key][:, k].mean() for key in ("precision", "recall", "f1")]
        cells = [f"{support:,}", *(f"{100 * share:.2f}" for share in shares), _taken_for(confusion[k], k, classes)]
        if not support:
            cells = ["0", "", "", "", ""]
        for (name, x), cell in zip(COLUMNS.items(), cells, strict=True):
            axes.text(x, row, cell, ha=_side(name), va="center", fontsize=8)


def _side(column: str) -> str:
    """Numbers end where their column does, words begin there."""
    return "left" if column == "most often read as" else "right"


def _taken_for(row: np.ndarray, own: int, classes: Sequence[str]) -> str:
    """The two classes that most examples of a class are taken for, with the share of its examples."""
    wrong = sorted((-int(count), k) for k, count in enumerate(row) if count and k != own)
    return ", ".join(f"{classes[k]} {-100 * count / row.sum():.2f} %" for count, k in wrong[:2])
