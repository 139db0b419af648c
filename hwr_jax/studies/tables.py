"""The tables of a study's report, in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwr_jax.core import stats
from hwr_jax.studies import comparison
from hwr_jax.studies.comparison import LEVEL, Paired, Row
from hwr_jax.studies.metric import Metric
from hwr_jax.studies.spec import Study


def table(study: Study, rows: list[Row]) -> str:
    """Returns the table of the variants, best first."""
    metric = study.metric
    columns: dict[str, Callable[[Row], str]] = {
        "variant": lambda r: f"`{r.variant}`" + (" (baseline)" if r.variant == study.baseline else ""),
        f"{metric.words}, {metric.unit}": lambda r: _test(metric, r),
        f"{_difference_title(metric, study.baseline)}": lambda r: _paired(metric, r.paired),
        "p": lambda r: "" if r.paired is None or r.paired.p_holm is None else f"{r.paired.p_holm:.3g}",
        "d": lambda r: "" if r.paired is None or r.paired.effect is None else f"{r.paired.effect:.2f}",
        "seeds needed": lambda r: _needed(r.paired, comparison.tested(rows)),
        "images": lambda r: _images(metric, r.paired),
        "McNemar": lambda r: (
            "" if r.paired is None or not r.paired.mcnemar[1] else "{} of {}".format(*r.paired.mcnemar)
        ),
        "validation": lambda r: "" if r.validation is None else metric.value(r.validation),
        "parameters": lambda r: "" if r.parameters is None else f"{r.parameters:,}",
        "training, s": lambda r: "" if r.train_seconds is None else f"{r.train_seconds:.2f}",
    }
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(cell(row) for cell in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def _needed(paired: Paired | None, comparisons: int) -> str:
    if paired is None or not paired.decidable or not paired.mean:
        return ""
    if paired.needed is None:
        return f"> {stats.MOST_SEEDS:,}"
    fewest = paired.needed <= stats.fewest_seeds(LEVEL / comparisons)
    return f"{'≤ ' if fewest else ''}{paired.needed:,}"


def _test(metric: Metric, row: Row) -> str:
    if row.test is None:
        return "diverged"
    shown = metric.value(row.test["mean"])
    if row.test["ci95"] is not None:
        shown += " ({} to {})".format(*map(metric.value, row.test["ci95"]))
    return f"{shown}; {row.diverged} of {row.trials} diverged" if row.diverged else shown


def _paired(metric: Metric, paired: Paired | None) -> str:
    if paired is None:
        return ""
    shown = metric.signed(paired.mean)
    for ends in (paired.t, paired.bootstrap):
        if ends is not None and ends[0] < ends[1]:  # of seeds that all differ by the same it has no width
            shown += f" ({metric.interval(ends)})"
    return f"**{shown}**" if paired.claims(gain=metric.is_gain(paired.mean)) else shown


def _images(metric: Metric, paired: Paired | None) -> str:
    if paired is None or paired.examples_error is None:
        return ""
    return f"±{metric.value(2 * paired.examples_error)}"


def contrasts(study: Study, found: dict[tuple[str, str], Paired]) -> str:
    """Returns the table of the further comparisons that the study asks for (CONTRASTS)."""
    lines = [f"| compared | {_difference_title(study.metric)} | p | images | on validation |", "|---" * 5 + "|"]
    for one, two in study.contrasts:
        paired = found.get((one, two))
        if paired is None:
            lines.append(f"| `{one}` - `{two}` | no common seed yet | | | |")
            continue
        p = "" if paired.p_holm is None else f"{paired.p_holm:.3g}"
        gain = ""
        if paired.validation is not None:
            mean, *ends = paired.validation
            gain = f"{study.metric.signed(mean)} ({study.metric.interval(ends)})"
        difference, images = _paired(study.metric, paired), _images(study.metric, paired)
        lines.append(f"| `{one}` - `{two}` | {difference} | {p} | {images} | {gain} |")
    return "\n".join(lines)


def _difference_title(metric: Metric, baseline: str = "") -> str:
    origin = f" from `{baseline}`" if baseline else ""
    return f"difference{origin}, {metric.difference_unit} (Student's 95 %) (bootstrap's)"


def setup(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> str:
    """Returns the list of data, seeds, versions, cost and command, and the table of what each variant changes."""
    complete = len(records) == len(study.variants) * len({r["seed"] for r in records})
    same = ", the same for every variant" if complete else ", some missing for some variants"
    seeds = sorted({r["seed"] for r in records})
    data = sorted({f"{r['dataset']['name']} ({r['dataset']['examples']['test']:,} test images)" for r in records})
    code = sorted({f"{r['code']['version']} ({r['code']['sha256'][:12]})" for r in records})
    versions = sorted({", ".join(f"{k} {v}" for k, v in r["versions"].items()) for r in records})
    devices = sorted({f"{len(r['devices'])} x {r['devices'][0]}" for r in records})
    steps = sum(r.get("train_seconds", 0.0) for r in records)
    compiling = sum(r.get("compile_seconds", 0.0) for r in records)
    whole = sum(r.get("seconds", 0.0) for r in records) + compiling
    lines = [
        f"- Data: {'; '.join(data)}. Seeds: {seeds[0]} to {seeds[-1]} ({len(seeds)}){same}.",
        f"- Code: hwr_jax {'; '.join(code)}; {'; '.join(versions)}; on {'; '.join(devices)}, "
        f"seeds by {records[0]['over_seeds']}.",
        _smallest_p(rows),
        f"- Cost: {len(records)} trials, {steps:.0f} s inside the steps, {compiling:.0f} s of compiling, "
        f"{whole:.0f} s in total.",
        f"- Command: `python -m hwr_jax.study --study={study.place}`; a single variant as an ordinary run: "
        f"`python -m hwr_jax.main --config={study.place}:{study.baseline}`.",
    ]
    changes = ["| variant | what it changes |", "|---|---|"]
    for name, overrides in study.variants.items():
        words = ", ".join(f"`{key}={_plain(v)}`" for key, v in overrides.items()) or "nothing"
        changes.append(f"| `{name}` | {words} |")
    return "\n".join(lines) + "\n\n" + "\n".join(changes)


def _smallest_p(rows: list[Row]) -> str:
    comparisons, seeds = comparison.tested(rows), max((row.paired.seeds for row in rows if row.paired), default=0)
    if not comparisons or seeds > stats.EXACT_SEEDS:
        return f"- Comparisons: {comparisons}."
    smallest = min(1.0, comparisons * 2 / 2**seeds)
    return (
        f"- Comparisons: {comparisons}; with {seeds} seeds, the most significant one can reach a corrected p of "
        f"{smallest:.3g} at best."
    )


def _plain(value: Any) -> str:
    return "(" + ", ".join(map(str, value)) + ")" if isinstance(value, list | tuple) else str(value)
