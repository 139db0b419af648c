"""What a study shows while it runs: a live table on a terminal, elsewhere a line for each trial."""

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
from hwr_jax.studies.local import VariantJob
from hwr_jax.studies.spec import Study

Show = Callable[[str, dict[str, Any]], None]


def duration(seconds: float) -> str:
    """Returns a duration such as 45 s, 12 min or 3.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def mean_seconds(records: list[dict[str, Any]]) -> dict[str, float]:
    """Returns how long a trial of each variant took on average, over trials that ran to completion."""
    by_variant: dict[str, list[float]] = {}
    for record in records:
        if "seconds" in record:
            by_variant.setdefault(record["variant"], []).append(record["seconds"])
    return {variant: float(np.mean(values)) for variant, values in by_variant.items()}


def costs_table(jobs: list[VariantJob], costs: dict[str, tuple[float, float]]) -> Table:
    """Returns the missing trials of each variant and their cost; `costs`: seconds of a trial, and of compiling."""
    table = Table("variant")
    for column in ("to train", "a trial", "compiling", "all"):
        table.add_column(column, justify="right")
    for job in jobs:
        if job.seeds:
            each, compiling = costs[job.variant]
            cells = (f"{each:.1f} s", f"{compiling:.1f} s", duration(len(job.seeds) * each + compiling))
            table.add_row(job.variant, str(len(job.seeds)), *cells)
    return table


@contextlib.contextmanager
def board(study: Study, jobs: list[VariantJob], records: list[dict[str, Any]], console: Console) -> Iterator[Show]:
    """Yields show(variant, record), to be called with each new record."""
    records, left = list(records), {job.variant: len(job.seeds) for job in jobs}
    began, done = time.monotonic(), 0.0

    def eta() -> str:
        known = mean_seconds(records)
        usual = float(np.mean(list(known.values()))) if known else 0.0
        pace = (time.monotonic() - began) / done if done else 1.0  # above 1 by compiling, below by several workers
        return duration(pace * sum(n * known.get(variant, usual) for variant, n in left.items()))

    def count(variant: str, record: dict[str, Any]) -> None:
        nonlocal done
        done += record.get("seconds", 0.0)
        records.append({"variant": variant, **record})
        left[variant] -= 1

    if console.is_terminal:
        with Live(_table(study, records, left, ""), console=console, transient=True) as live_table:

            def update(variant: str, record: dict[str, Any]) -> None:
                count(variant, record)
                live_table.update(_table(study, records, left, eta()))

            yield update
        return

    def print_line(variant: str, record: dict[str, Any]) -> None:
        count(variant, record)
        value = study.metric.of(record)
        words = "diverged" if value is None else f"{study.metric.words} {study.metric.value_with_unit(value)}"
        console.print(f"{variant}, seed {record['seed']}: {words}; {sum(left.values())} to train, about {eta()}")

    yield print_line


def _table(study: Study, records: list[dict[str, Any]], left: dict[str, int], eta: str) -> Table:
    table = Table(
        "variant", title=study.question, caption=f"{sum(left.values())} trials left, about {eta}" if eta else ""
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
    """Returns the variants, best first, with their paired differences to the baseline."""
    table = Table("variant")
    diverged = any(row.diverged for row in rows)
    columns = [study.metric.words, f"difference to {study.baseline}", "95 % interval", "p (Holm)"]
    for column in [*columns[:1], *(["diverged"] if diverged else []), *columns[1:]]:
        table.add_column(column, justify="right")
    for row in rows:
        cells = ["diverged" if row.test is None else study.metric.value_with_unit(row.test["mean"])]
        cells += [f"{row.diverged} of {row.trials}" if row.diverged else ""] if diverged else []
        paired = row.paired
        if paired is not None and paired.t is not None:
            cells += [study.metric.signed(paired.mean), study.metric.interval(paired.t), f"{paired.p_holm:.3g}"]
        table.add_row(row.variant, *cells)
    return table
