"""What is seen of a study while it runs: a live table on a terminal, elsewhere a line for each trial."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from hwr_jax.studies.comparison import Row
from hwr_jax.studies.spec import Study

Heard = Callable[[str, dict[str, Any]], None]


def duration(seconds: float) -> str:
    """Returns words such as 45 s, 12 min or 3.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def mean_seconds(records: list[dict[str, Any]]) -> dict[str, float]:
    """Returns what a trial of each variant took, on the mean; of those that were trained to the end."""
    found: dict[str, list[float]] = {}
    for record in records:
        if "seconds" in record:
            found.setdefault(record["variant"], []).append(record["seconds"])
    return {variant: float(np.mean(values)) for variant, values in found.items()}


def costs_table(works: list, costs: dict[str, tuple[float, float]]) -> Table:
    """Returns what is missing of each variant, and what it would take: (seconds of a trial, seconds of compiling)."""
    table = Table("variant")
    for column in ("to train", "a trial", "compiling", "all"):
        table.add_column(column, justify="right")
    for work in works:
        if work.seeds:
            each, compiling = costs[work.variant]
            cells = (f"{each:.1f} s", f"{compiling:.1f} s", duration(len(work.seeds) * each + compiling))
            table.add_row(work.variant, str(len(work.seeds)), *cells)
    return table


@contextlib.contextmanager
def board(study: Study, works: list, records: list[dict[str, Any]], console: Console) -> Iterator[Heard]:
    """Yields heard(variant, record), to be called with each new record."""
    here, left = list(records), {work.variant: len(work.seeds) for work in works}
    began, done = time.monotonic(), 0.0

    def eta() -> str:
        known = mean_seconds(here)
        usual = float(np.mean(list(known.values()))) if known else 0.0
        apart = (time.monotonic() - began) / done if done else 1.0  # compiling adds to it, several workers divide it
        return duration(apart * sum(n * known.get(variant, usual) for variant, n in left.items()))

    def hear(variant: str, record: dict[str, Any]) -> None:
        nonlocal done
        done += record.get("seconds", 0.0)
        here.append({"variant": variant, **record})
        left[variant] -= 1

    if console.is_terminal:
        with Live(_table(study, here, left, ""), console=console, transient=True) as shown:

            def heard(variant: str, record: dict[str, Any]) -> None:
                hear(variant, record)
                shown.update(_table(study, here, left, eta()))

            yield heard
        return

    def said(variant: str, record: dict[str, Any]) -> None:
        hear(variant, record)
        value = study.metric.of(record)
        words = "diverged" if value is None else f"{study.metric.words} {study.metric.value_with_unit(value)}"
        console.print(f"{variant}, seed {record['seed']}: {words}; {sum(left.values())} to train, about {eta()}")

    yield said


def _table(study: Study, records: list[dict[str, Any]], left: dict[str, int], eta: str) -> Table:
    table = Table(
        "variant", title=study.question, caption=f"left: {sum(left.values())} trials, about {eta}" if eta else ""
    )
    for column in ("done", "left", study.metric.words, "a trial"):
        table.add_column(column, justify="right")
    seconds = mean_seconds(records)
    for variant in study.variants:
        own = [r for r in records if r["variant"] == variant]
        values = [v for v in map(study.metric.of, own) if v is not None]
        mean = study.metric.value_with_unit(float(np.mean(values))) if values else ""
        took = f"{seconds[variant]:.1f} s" if variant in seconds else ""
        table.add_row(variant, str(len(own)), str(left.get(variant, 0)), mean, took)
    return table


def results_table(study: Study, rows: list[Row]) -> Table:
    """Returns the variants, the best first, with their paired differences to the baseline."""
    table = Table("variant")
    for column in (study.metric.words, f"difference to {study.baseline}", "95 % interval", "p (Holm)"):
        table.add_column(column, justify="right")
    for row in rows:
        cells = ["diverged" if row.test is None else study.metric.value_with_unit(row.test["mean"])]
        paired = row.paired
        if paired is not None and paired.t is not None:
            cells += [study.metric.signed(paired.mean), study.metric.interval(paired.t), f"{paired.p_holm:.3g}"]
        table.add_row(row.variant, *cells)
    return table
