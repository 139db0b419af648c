"""What people see on the terminal: lines, a progress bar, tables. Without a terminal: plain lines."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
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
    """Returns the console for standard output or, with `stderr`, for standard error; a `quiet` one prints nothing.

    It never wraps lines; without a terminal it does not cut tables to the 80 columns that rich would guess, either.
    """
    console = Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 10_000
    return console


@contextlib.contextmanager
def progress_bar(console: Console, *, images: int, done: int) -> Iterator[Callable[[int, float], None]]:
    """Shows a bar over all images of the run, with images per second and ETA; without a terminal it shows nothing.

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


def fallback_paragraph(name: str, tried: Sequence[str], other: str) -> str:
    """Returns the warning that a data set was not found, and that the config file `other` is trained instead.

    Args:
      name: of the data set.
      tried: a line for each place: where, and why the data is not there.
      other: the path of the config.
    """
    places = "\n".join(f"  - {place}" for place in tried)
    bar = "!" * 100
    variable = f"HWR_{name.partition('/')[0].upper()}_DIR"
    return (
        f"\n{bar}\n{name.upper()} WAS NOT FOUND: TRAINING ON ANOTHER DATA SET INSTEAD: {other}\n"
        f"The results below are not results on {name}. Places tried:\n{places}\n"
        "To supply it, connect to the network; or put the four original files (train-images-idx3-ubyte.gz, ...) into\n"
        f"a folder and set {variable}=FOLDER or --config.data.manual_dir=FOLDER; or set --data_dir to a folder of\n"
        "tensorflow-datasets that has it.\n"
        f"With --config.data.fallback=none this is an error.\n{bar}\n"
    )


def several_codes(codes: Sequence[dict[str, Any]]) -> str:
    """Returns the sentence that several versions of the code trained a run (`run_folder.codes`); "" for one version."""
    if len(codes) < 2:
        return ""
    parts = ", ".join("{version} ({sha256:.12}) from step {step:,}".format(**code) for code in codes)
    return f"Several versions of the code trained this run (--resume=anyway): hwr_jax {parts}."


def print_results(screen: Console, summary: dict[str, Any], folder: Path) -> None:
    """Prints how a finished run did on the test set, where it is, and what can be done with it."""
    trained = trained_on(summary["dataset"])
    screen.print(f"\nTest results on {summary['dataset']} ({summary['examples']['test']:,} images; {trained}):")
    screen.print(results_table(summary["test"]))
    for line in transfer_lines(summary.get("transfer", {})):
        screen.print(line)
    if several := several_codes(summary.get("code", [])):
        screen.print(several)
    for line in next_lines(folder):
        screen.print(line)


def next_lines(folder: Path) -> list[str]:
    """Returns where a finished run is and what can be done with it."""
    workdir = f"--workdir={shlex.quote(str(folder))}"
    return [
        f"Run folder: {folder}",
        f"Figures:    {folder / 'figures'} (learning curves, confusion matrix, worst mistakes, ...)",
        f"Next:       python -m hwr_jax.predict {workdir} PICTURE...   (reads your pictures)",
        f"            python -m hwr_jax.evaluate {workdir}   (every class; --dataset=NAME: other data)",
    ]


def transfer_lines(transfer: dict[str, Any]) -> list[str]:
    """Returns a line for each data set: mean accuracy before (with the initial weights) and after."""

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
    """Returns the words that stand with every table about a model, such as 'trained on digits, not MNIST'."""
    return "trained on mnist" if dataset == "mnist" else f"trained on {dataset}, not MNIST"
