"""The report of a study: report.md, from its records alone. Owns the words; the same records give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax import comparison, files, stats
from hwr_jax import config as configs
from hwr_jax.comparison import LEVEL, Paired, Row
from hwr_jax.plots import study as study_plots
from hwr_jax.study_file import METRICS, Study

MANY = 12  # names in a sentence

READING = """\
Every variant is trained with the same seeds, and each is compared with the baseline seed by seed. In brackets:
Student's 95 % interval over the seeds, then the bootstrap's. *p*: sign-flip permutation test of the paired differences,
corrected for the number of variants (Holm). *d*: mean of the differences over their standard deviation. *Seeds needed*:
to see such a difference four times of five, so corrected. *Images*: what another choice of test images would change
(two standard errors); a smaller difference holds for these images only. *McNemar*: of how many seeds the outcomes on
the test images differ from the baseline's (p < 0.05). *Training*: inside the steps; trials trained at once have equal
shares. The test set was read once a trial, at its end, and chose nothing; validation is what one would choose by."""


def write(study: Study, records: list[dict[str, Any]], folder: Path) -> None:
    """Writes report.md and the figures; nothing where there are no records."""
    if not records:
        return
    rows = comparison.compare(study, records)
    fit = comparison.fitted(study, records) if study.fit else None
    figures = study_plots.draw_all(study, records, rows, folder, fit)
    files.write_atomic(folder / "report.md", text(study, records, rows, figures))


def text(study: Study, records: list[dict[str, Any]], rows: list[Row], figures: list[str]) -> str:
    """Returns the report; `figures` are names of files beside it."""
    parts = [
        f"# {study.name}",
        f"**{study.question}**",
        verdict(study, rows),
        *warnings(study, records, rows),
        table(study, rows),
        *([_fit(study, records)] if study.fit else []),
        *([_chosen(study, rows)] if study.series else []),
        "\n".join(f"![{name.removesuffix('.png')}]({name})" for name in figures),
        "## Setup",
        *([" ".join(study.notes.split())] if study.notes else []),
        setup(study, records),
        "## How to read it",
        READING,
    ]
    return "\n\n".join(parts) + "\n"


def verdict(study: Study, rows: list[Row]) -> str:
    """Returns what the statistics support, in a few sentences."""
    words, higher, _, _ = METRICS[study.metric]
    pairs = [(row.variant, row.paired) for row in rows if row.paired is not None and row.paired.p is not None]
    if not pairs:
        return "Nothing can be said yet: there are fewer than two seeds of the baseline and another variant."
    found = [(n, p) for n, p in pairs if p.significant]
    better = [(n, p) for n, p in found if (p.mean > 0) == higher]
    worse = [(n, p) for n, p in found if (p.mean > 0) != higher]
    rest = [(n, p) for n, p in pairs if not p.significant and p.decidable]
    sentences = []
    if better:
        sentences.append(f"In {words}, {_named(study, better)} {_be(better)} better than `{study.baseline}`")
    if worse:
        than = "" if better else f" than `{study.baseline}` in {words}"
        sentences.append(f"{_named(study, worse)} {_be(worse)} worse{than}")
    if rest and found:
        sentences.append(f"{_code([n for n, _ in rest])} cannot be told apart from `{study.baseline}`")
    elif rest:
        seen = difference(study, max(p.visible or 0.0 for _, p in rest), sign=False)
        sentences.append(
            f"No difference to `{study.baseline}` in {words} is larger than chance (one of {seen} would have been seen "
            "four times of five)"
        )
    if few := [(n, p) for n, p in pairs if not p.significant and not p.decidable]:
        count = len(study.variants) - 1
        sentences.append(
            f"Of {_code([n for n, _ in few])} nothing can be said: with {min(p.seeds for _, p in few)} seeds no "
            f"difference can be significant among {count} comparisons, it takes {stats.fewest_seeds(LEVEL / count)}"
        )
    if lost := [row.variant for row in rows if row.test is None]:
        sentences.append(f"{_code(lost)} always diverged")
    sentences.append(f"By validation one would choose `{_by_validation(study, rows)}`")
    return ". ".join(s[0].upper() + s[1:] for s in sentences) + "."


def _by_validation(study: Study, rows: list[Row]) -> str:
    """The best mean; but a variant with fewer trials that ended well is no choice where another has more."""
    sign = -1 if METRICS[study.metric][1] else 1
    return min(
        (-min(study.seeds, len(row.test["per_seed"])), sign * row.validation, row.variant)
        for row in rows
        if row.test is not None and row.validation is not None
    )[2]


def _chosen(study: Study, rows: list[Row]) -> str:
    """Returns what validation would choose of each series."""
    found = []
    for name, of in study.series.items():
        scored = [row for row in rows if row.variant in of and row.test is not None]
        best = _by_validation(study, scored) if scored else ""
        at = f"`{best}` ({study.axis} {configs.flatten(study.configs[best])[study.axis]:g})" if best else "nothing"
        found.append(f"{name} {at}")
    return f"Chosen by validation: {', '.join(found)}."


def _be(pairs: list[tuple[str, Paired]]) -> str:
    return "is" if len(pairs) == 1 else "are"


def _named(study: Study, pairs: list[tuple[str, Paired]]) -> str:
    return _listed([f"`{n}` ({difference(study, p.mean)})" for n, p in pairs])


def warnings(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns what must be known before a number is quoted; [] where there is nothing."""
    found = []
    small = [r.variant for r in rows if r.paired and r.paired.significant and not r.paired.beyond_examples]
    if small:
        found.append(
            f"The difference of {_code(small)} is smaller than what another choice of test images would change: "
            "it is one of these images, and may not be there on others."
        )
    if lost := [f"`{r.variant}` {r.diverged} of {_count(records, r.variant)}" for r in rows if r.diverged]:
        found.append(f"Trials whose loss was not finite, left out of the means: {', '.join(lost)}.")
    missing = [
        f"`{name}` {_count(records, name)} of {study.seeds}"
        for name in study.variants
        if _count(records, name) < study.seeds
    ]
    if missing:
        found.append(f"The study is not complete; seeds that are there: {', '.join(missing)}.")
    if len({r["code"]["sha256"] for r in records}) > 1:
        found.append("The records were made by several versions of the code.")
    if len({tuple(r["devices"]) for r in records}) > 1:
        found.append("The records were made on several kinds of devices.")
    return [f"> **Note.** {words}" for words in found]


def _count(records: list[dict[str, Any]], variant: str) -> int:
    return sum(r["variant"] == variant for r in records)


def _code(names: list[str]) -> str:
    return _listed([f"`{name}`" for name in names])


def _listed(words: list[str]) -> str:
    """The words with commas; of very many the first, and how many more there are."""
    if len(words) <= MANY:
        return ", ".join(words)
    return f"{', '.join(words[: MANY // 2])} and {len(words) - MANY // 2} others"


def value(study: Study, number: float) -> str:
    """Returns a value of the metric as the tables show it."""
    return f"{METRICS[study.metric][2] * number:.{_digits(study)}f}"


def difference(study: Study, number: float, *, sign: bool = True) -> str:
    """Returns a difference of the metric: in percentage points, or in the metric's unit."""
    _, _, factor, unit = METRICS[study.metric]
    shown = f"{factor * number:{'+' if sign else ''}.{_digits(study)}f}"
    return f"{shown} points" if unit == "%" else f"{shown} {unit}"


def _digits(study: Study) -> int:
    return 3 if METRICS[study.metric][3] == "%" else 4


def table(study: Study, rows: list[Row]) -> str:
    """Returns the table, the best variant first."""
    words, _, _, unit = METRICS[study.metric]
    columns: dict[str, Callable[[Row], str]] = {
        "variant": lambda r: f"`{r.variant}`" + (" (baseline)" if r.variant == study.baseline else ""),
        f"{words}, {unit}": lambda r: _test(study, r),
        f"difference to `{study.baseline}`": lambda r: _paired(study, r.paired),
        "p": lambda r: "" if r.paired is None or r.paired.p_holm is None else f"{r.paired.p_holm:.3g}",
        "d": lambda r: "" if r.paired is None or r.paired.effect is None else f"{r.paired.effect:.2f}",
        "seeds needed": lambda r: "" if r.paired is None or r.paired.needed is None else f"{r.paired.needed:,}",
        "images": lambda r: _images(study, r.paired),
        "McNemar": lambda r: (
            "" if r.paired is None or not r.paired.mcnemar[1] else "{} of {}".format(*r.paired.mcnemar)
        ),
        "validation": lambda r: "" if r.validation is None else value(study, r.validation),
        "parameters": lambda r: "" if r.parameters is None else f"{r.parameters:,}",
        "training, s (median)": lambda r: "" if r.train_seconds is None else f"{r.train_seconds:.2f}",
    }
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(cell(row) for cell in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def _test(study: Study, row: Row) -> str:
    if row.test is None:
        return "diverged"
    mean = value(study, row.test["mean"])
    if row.test["ci95"] is None:
        return mean
    low, high = (value(study, end) for end in row.test["ci95"])
    return f"{mean} ({low} to {high})"


def _paired(study: Study, paired: Paired | None) -> str:
    if paired is None:
        return ""
    factor, digits = METRICS[study.metric][2], _digits(study)
    shown = f"{factor * paired.mean:+.{digits}f}"
    for ends in (paired.t, paired.bootstrap):
        if ends is not None:
            shown += f" ({factor * ends[0]:+.{digits}f} to {factor * ends[1]:+.{digits}f})"
    return f"**{shown}**" if paired.significant else shown


def _images(study: Study, paired: Paired | None) -> str:
    if paired is None or paired.examples_error is None:
        return ""
    return f"±{METRICS[study.metric][2] * 2 * paired.examples_error:.{_digits(study)}f}"


def setup(study: Study, records: list[dict[str, Any]]) -> str:
    """Returns data, seeds, versions, cost, command, and what each variant changes."""
    one = records[0]
    seeds = sorted({r["seed"] for r in records})
    data = sorted({f"{r['dataset']['name']} ({r['dataset']['examples']['test']:,} test images)" for r in records})
    code = sorted({f"{r['code']['version']} ({r['code']['sha256'][:12]})" for r in records})
    versions = sorted({", ".join(f"{k} {v}" for k, v in r["versions"].items()) for r in records})
    devices = sorted({f"{len(r['devices'])} x {r['devices'][0]}" for r in records})
    steps = sum(r.get("train_seconds", 0.0) for r in records)
    compiling = sum(r.get("compile_seconds", 0.0) for r in records)
    whole = sum(r.get("seconds", 0.0) for r in records) + compiling
    lines = [
        f"- Data: {'; '.join(data)}. Seeds: {seeds[0]} to {seeds[-1]} ({len(seeds)}), the same for every variant.",
        f"- Code: hwr_jax {'; '.join(code)}; {'; '.join(versions)}; on {'; '.join(devices)}, "
        f"seeds by {one['over_seeds']}.",
        f"- Cost: {len(records)} trials, {steps:.0f} s inside the steps, {compiling:.0f} s of compiling, "
        f"{whole:.0f} s in all.",
        f"- Command: `python -m hwr_jax.study --study=experiments/{study.name}/study.py`; one variant as an ordinary "
        f"run: `python -m hwr_jax.main --config=experiments/{study.name}/study.py:{study.baseline}`.",
    ]
    changes = ["| variant | what it changes |", "|---|---|"]
    for name, overrides in study.variants.items():
        words = ", ".join(f"`{key}={_plain(v)}`" for key, v in overrides.items()) or "nothing"
        changes.append(f"| `{name}` | {words} |")
    return "\n".join(lines) + "\n\n" + "\n".join(changes)


def _plain(value: Any) -> str:
    return "(" + ", ".join(map(str, value)) + ")" if isinstance(value, list | tuple) else str(value)


def _fit(study: Study, records: list[dict[str, Any]]) -> str:
    """Returns the sentence of the power law of the error over the axis."""
    fit = comparison.fitted(study, records)
    if fit is None:
        return "A power law needs two or more variants with the same seeds."
    low, high = fit["exponent_ci95"] or (float("nan"), float("nan"))
    return (
        f"Power law: error = {fit['factor']:.3g} * ({study.axis}) ^ -{fit['exponent']:.3f} (exponent: {low:.3f} to "
        f"{high:.3f}, 95 % bootstrap over the seeds); no mean lies further than a factor of "
        f"{np.exp(fit['misfit']):.2f} from it."
    )
