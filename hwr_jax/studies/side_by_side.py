"""Finished runs side by side: one JSON object of all numbers, and what is printed and written of it.

`workdir.finished` reads the runs; `comparison` and `by_image` compute the statistics.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from rich.table import Column, Table

from hwr_jax.core import printable, stats
from hwr_jax.studies import by_image, comparison, runs
from hwr_jax.studies.comparison import Paired
from hwr_jax.studies.metric import Metric
from hwr_jax.workdir.finished import FinishedRun

OVER_SEEDS = ("seeds", "mean", "t", "p", "p_holm", "effect", "mcnemar")  # of `Paired`
INTERVALS = "Intervals over seeds are Student's, 95 %"
HOW_IMAGES = "; ± is two standard errors, by the choice of images"
HOW_SEEDS = """\
Differences are a run minus {first}, of the common seeds; p is corrected for the number of comparisons (Holm). Over
seeds, another training: pairs of the same seed, sign-flip test."""
HOW_OVER_IMAGES = """\
Over images, other test images: McNemar's test of one seed, Student's t test of several, and Student's interval; better
on the images that a larger share of a run's seeds gets right, worse where it is a smaller one. Runs without a common
seed are compared over images alone, each by all its seeds."""


def compare(found: Sequence[FinishedRun], metric: Metric) -> dict[str, Any]:
    """Returns the runs and their differences from the first, as JSON.

    Args:
      found: from `runs.read`, one or more.
      metric: what is compared. Image by image only accuracy is.

    Returns:
      `metric`, `dataset`, `dataset_sha256`, `examples`, `first`; `runs`, a dict each; `config`, the keys that differ,
      each with a value a run; `differences`, a dict for each run but the first, where `over_seeds` is None without a
      common seed and `over_images` without the outcomes of both; `notes`. Shares and nats, never percent.
    """
    records = {run.name: runs.records(run) for run in found}
    first, *others = records
    pairs = [(name, first) for name in others]
    over_seeds = comparison.against(metric, records, pairs)
    over_images = by_image.against(records, pairs) if metric.name == "accuracy" else {}
    of_data = found[0].facts
    uncompared = [pair for pair in pairs if pair not in over_seeds and pair not in over_images]
    return {
        "metric": metric.name,
        "dataset": of_data["name"],
        "dataset_sha256": of_data["sha256"],
        "examples": {split: of_data["examples"][split] for split in ("validation", "test")},
        "first": first,
        "runs": [_row(run, records[run.name], metric) for run in found],
        "config": runs.config_differences(found),
        "differences": [
            {
                "run": name,
                "over_seeds": _some(over_seeds.get((name, first)), OVER_SEEDS),
                "over_images": _some(over_images.get((name, first)), by_image.OverImages._fields),
            }
            for name in others
        ],
        "notes": [*runs.notes(found), *_left_out(found), *_apart(uncompared), *_too_few(over_seeds)],
    }


def _left_out(found: Sequence[FinishedRun]) -> list[str]:
    """A sentence for each run that is compared by a part of the seeds, and which are left out."""
    first, *others = found
    said = []
    for run in others:
        own, base = run.summary["seeds"], first.summary["seeds"]
        common = [seed for seed in own if seed in base]
        missing = [
            f"{_seeds(seeds)} {'are' if len(seeds) > 1 else 'is'} not in {lacks.name}"
            for seeds, lacks in ((sorted(set(own) - set(base)), first), (sorted(set(base) - set(own)), run))
            if seeds
        ]
        if common and missing:
            said.append(f"{run.name} is compared with {first.name} by {_seeds(common)} alone: {', '.join(missing)}.")
    return said


def _apart(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The sentence, if any, about the runs of which nothing can be compared with the first: their rows are empty."""
    if not pairs:
        return []
    return [f"Without a seed in common with {pairs[0][1]}, nothing is compared: {', '.join(one for one, _ in pairs)}."]


def _too_few(pairs: dict[tuple[str, str], Paired]) -> list[str]:
    """The sentence, if any, about the runs of which no difference can be significant: their seeds are too few."""
    tested = {one: pair for (one, _), pair in pairs.items() if pair.p is not None}
    few = {one: pair.seeds for one, pair in tested.items() if not pair.significant and not pair.decidable}
    if not few:
        return []
    needed = stats.fewest_seeds(comparison.LEVEL / len(tested))
    whose = f" of {', '.join(few)}" if len(few) < len(tested) else ""
    seeds = max(few.values())
    return [f"With {seeds} seeds no difference{whose} can be significant over the seeds: {needed} are needed."]


def _row(run: FinishedRun, records: list[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    test, validation = ([record[split][metric.name] for record in records] for split in ("test", "validation"))
    by_images = metric.name == "accuracy" and by_image.comparable(records)
    return {
        "run": run.name,
        "network": run.config.model.name,
        "parameters": run.summary["parameters"],
        "seeds": run.summary["seeds"],
        "train_examples": run.facts["examples"]["train"],
        "test": stats.summarise(test, within=(0.0, metric.highest)),
        "test_images_error": by_image.share_error(records) if by_images else None,
        "validation": stats.summarise(validation, within=(0.0, metric.highest)),
        "train_seconds": run.summary["train_seconds"],
        "images_per_second": run.summary["images_per_second"],
    }


def _some(pair: Any, names: Sequence[str]) -> dict[str, Any] | None:
    return None if pair is None else {name: getattr(pair, name) for name in names}


def tables(found: dict[str, Any], metric: Metric) -> list[Table | str]:
    """Returns what is printed of `compare`: the runs, their differences, and the config keys that differ."""
    shown: list[Table | str] = [_of_runs(found, metric)]
    if found["differences"]:
        shown += [_of_differences(found, metric), *([_of_config(found)] if found["config"] else [])]
    shown.append(_how(found))
    if found["differences"] and not found["config"]:
        shown.append("The configs are the same but for the seeds.")
    return [*shown, *(f"Note: {printable.line(note)}" for note in found["notes"])]


def _how(found: dict[str, Any]) -> str:
    """What the columns that are shown mean."""
    images = HOW_IMAGES if any(row["test_images_error"] is not None for row in found["runs"]) else ""
    said = [f"{INTERVALS}{images}."]
    if found["differences"]:
        said.append(HOW_SEEDS.format(first=printable.line(found["first"])))
    if any(row["over_images"] for row in found["differences"]):
        said.append(HOW_OVER_IMAGES)
    return "\n".join(said)


def _of_runs(found: dict[str, Any], metric: Metric) -> Table:
    with_images = any(row["test_images_error"] is not None for row in found["runs"])
    images = ["± images"] if with_images else []
    title = f"{found['dataset']}, {found['examples']['test']:,} test images"
    table = _columns("run", "network", "seeds", f"{metric.words}, {metric.unit}", "95 % over seeds", *images,
                     f"validation, {metric.unit}", "training, s", "images/s", title=title)  # fmt: skip
    for row in found["runs"]:
        error, ends = row["test_images_error"], row["test"]["ci95"]
        table.add_row(
            printable.line(row["run"]),
            row["network"],
            _listed(row["seeds"]),
            metric.value(row["test"]["mean"]),
            "" if ends is None else " to ".join(map(metric.value, ends)),
            *(["" if error is None else metric.value(2 * error)] if with_images else []),
            metric.value(row["validation"]["mean"]),
            f"{row['train_seconds']:,.1f}",
            f"{row['images_per_second']:,.0f}",
        )
    return table


def _of_differences(found: dict[str, Any], metric: Metric) -> Table:
    title = f"{metric.words} minus that of {printable.line(found['first'])}, {metric.difference_unit}"
    with_images = any(row["over_images"] for row in found["differences"])
    images = ["95 % over images", "p", "better on", "worse on"] if with_images else []
    table = _columns("run", "common seeds", "difference", "95 % over seeds", "p", *images, title=title)
    for row in found["differences"]:
        seeds, other = row["over_seeds"], row["over_images"]
        cells = [str(seeds["seeds"] if seeds else 0), _mean(metric, seeds or other), *_tested(metric, seeds)]
        if with_images:
            counts = ["", ""] if other is None else [f"{other[key]:,}" for key in ("gained", "lost")]
            cells += [*_tested(metric, other), *counts]
        table.add_row(printable.line(row["run"]), *cells)
    return table


def _mean(metric: Metric, pair: dict[str, Any] | None) -> str:
    return "" if pair is None else metric.signed(pair["mean"])


def _tested(metric: Metric, pair: dict[str, Any] | None) -> list[str]:
    """The interval and the corrected p of a difference; of a single seed there are none."""
    return ["", ""] if pair is None or pair["t"] is None else [metric.interval(pair["t"]), f"{pair['p_holm']:.3g}"]


def _of_config(found: dict[str, Any]) -> Table:
    table = Table("config key", *(Column(printable.line(row["run"]), overflow="fold") for row in found["runs"]))
    for key, values in found["config"].items():
        table.add_row(key, *(printable.line(_shown(value)) for value in values))
    return table


def _columns(first: str, *others: str, title: str) -> Table:
    return Table(Column(first, overflow="fold"), *(Column(name, justify="right") for name in others), title=title)


def _listed(seeds: Sequence[int]) -> str:
    """Seeds in a cell: 0 to 4, or 1, 3."""
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _seeds(seeds: Sequence[int]) -> str:
    """Seeds in a sentence: seed 3, or seeds 0 to 4."""
    return f"seed{'s' if len(seeds) > 1 else ''} {_listed(seeds)}"


def _shown(value: Any) -> str:
    return "(" + ", ".join(map(str, value)) + ")" if isinstance(value, list) else str(value)


def as_csv(found: dict[str, Any]) -> str:
    """Returns `compare` as CSV, a line a run: shares and nats, an empty cell for what is undefined."""
    differences = {row["run"]: row for row in found["differences"]}
    rows = []
    for i, row in enumerate(found["runs"]):
        other = differences.get(row["run"], {"over_seeds": None, "over_images": None})
        seeds, images = other["over_seeds"] or {}, other["over_images"] or {}
        rows.append(
            {
                **{key: row[key] for key in ("run", "network", "parameters")},
                "seeds": " ".join(map(str, row["seeds"])),
                **_flat(f"test_{found['metric']}", row["test"]["mean"], row["test"]["ci95"]),
                "test_images_error": row["test_images_error"],
                f"validation_{found['metric']}": row["validation"]["mean"],
                **{key: row[key] for key in ("train_examples", "train_seconds", "images_per_second")},
                "common_seeds": seeds.get("seeds"),
                **_flat("over_seeds", seeds.get("mean"), seeds.get("t")),
                **{f"over_seeds_{key}": seeds.get(key) for key in ("p", "p_holm")},
                **_flat("over_images", images.get("mean"), images.get("t")),
                **{f"over_images_{key}": images.get(key) for key in ("p", "p_holm", "gained", "lost")},
                **{f"config.{key}": _shown(values[i]) for key, values in found["config"].items()},
            }
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _flat(name: str, mean: float | None, ends: Sequence[float] | None) -> dict[str, float | None]:
    low, high = ends or (None, None)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _cell(value: Any) -> Any:
    return printable.cell(value) if isinstance(value, str) else value
