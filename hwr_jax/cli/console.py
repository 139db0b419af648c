"""What people see on the terminal: lines, a progress bar, tables. Plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

SCALAR_NAMES = {
    "accuracy": "accuracy",
    "error_count": "errors",
    "cer": "character error rate",
    "loss": "loss (nats)",
    "precision_macro": "precision (macro)",
    "recall_macro": "recall (macro)",
    "f1_macro": "F1 (macro)",
    "ece": "calibration error",
}
HEADER = (
    f"{'epoch':>9}{'train loss':>12}{'train acc':>11}{'valid loss':>12}{'valid acc':>22}{'images/s':>11}{'seconds':>9}"
)


def make_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Returns the console for standard output (or error, where the output is for a program); `quiet`: for nobody.

    It never wraps lines, nor cuts a table short where there is no terminal (whose width rich would guess as 80).
    """
    console = Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 10_000
    return console


@contextlib.contextmanager
def progress_bar(console: Console, *, images: int, done: int) -> Iterator[Callable[[int, float], None]]:
    """Shows a bar over all images of the run, with images per second and ETA; nothing where there is no terminal.

    Yields:
      advance(images, images_per_second).
    """
    if not console.is_terminal:
        yield lambda images, rate: None
        return
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f} images/s, left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=images, completed=done, rate=0.0)
        yield lambda images, rate: progress.update(task, advance=images, rate=rate)


def epoch_row(epoch: int, epochs: int, train: dict, validation: dict, images_per_second: float, seconds: float) -> str:
    """Returns one row under `HEADER`; `train` and `validation` are lines of metrics.jsonl."""
    accuracy = f"{100 * validation['accuracy']:.2f}"
    values = validation["per_seed"]["accuracy"]
    if len(values) > 1:
        accuracy += f" ({100 * min(values):.2f}..{100 * max(values):.2f})"
    return (
        f"{f'{epoch}/{epochs}':>9}{train['loss']:>12.4f}{100 * train['accuracy']:>11.2f}"
        f"{validation['loss']:>12.4f}{accuracy:>22}{images_per_second:>11,.0f}{seconds:>9.1f}"
    )


def results_table(scalars: dict[str, Any]) -> Table:
    """Returns the table of a split's metrics, each as `stats.summarise` gives it, and of the ensemble of its seeds."""
    table = Table("metric")
    table.add_column("mean", justify="right")
    many = scalars["accuracy"]["std"] is not None
    if many:
        table.add_column("std", justify="right")
        table.add_column("95 % interval", justify="right")
    for name, words in SCALAR_NAMES.items():
        if name not in scalars:  # of another task
            continue
        value = scalars[name]
        show = _percent if name not in ("error_count", "loss") else (_count if name == "error_count" else _nats)
        cells = [show(value["mean"])]
        if many:
            cells += [show(value["std"]), " .. ".join(show(v) for v in value["ci95"])]
        table.add_row(words, *cells)
    if scalars["ensemble"] is not None:
        for name, value in scalars["ensemble"].items():
            table.add_row(f"ensemble ({name.replace('_', ' ')})", _percent(value))
    return table


def transfer_lines(transfer: dict[str, Any]) -> list[str]:
    """Returns a line for each data set: mean accuracy before (of the weights begun with) and after."""

    def mean(values):
        return "new head" if values is None else _percent(sum(values) / len(values))

    return [f"accuracy on {name}: {mean(v['before'])} before, {mean(v['after'])} after" for name, v in transfer.items()]


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _count(value: float) -> str:
    return f"{value:g}" if value == int(value) else f"{value:.1f}"


def _nats(value: float) -> str:
    return f"{value:.4f}"


def trained_on(dataset: str) -> str:
    """Returns the words that every table about a model carries, e.g. 'trained on digits, not MNIST'."""
    return "trained on mnist" if dataset == "mnist" else f"trained on {dataset}, not MNIST"
