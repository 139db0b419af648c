"""The report of a study: report.md, from its records alone. Owns the words; the same records give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax import comparison, files, stats
from hwr_jax import config as configs
from hwr_jax.comparison import LEVEL, Paired, Row
from hwr_jax.plots import study as study_plots
from hwr_jax.study_file import METRICS, Study

MANY = 12  # names in a sentence
BEYOND_CHANCE = 3.0  # standard errors between a mean and a fitted law

READING = """\
Every variant is trained with the same seeds, and each is compared with the baseline seed by seed. In brackets:
Student's 95 % interval over the seeds, then the bootstrap's (too narrow for so few). *p*: sign-flip permutation test of
the paired differences, corrected for the number of comparisons (Holm); the intervals are of each variant alone and not
corrected, so that one may leave out 0 where p is above 0.05. *Not decided* does not mean equal, nor worse than what is
decided. *d*: mean of the differences over their standard deviation. *Seeds needed*: to see a difference as large as
the one observed four times of five, so corrected; a number at the left end of what can be significant has the sign ≤.
*Images*: what another choice of test images would change (two standard errors); p and intervals are for these images,
for digits in general add it in quadrature. *McNemar*: of how many seeds the outcomes on the test images differ from
the baseline's, each alone (p < 0.05; one of twenty does by chance). *Training*: seconds inside the steps of the fastest
trial; trials trained at once have equal shares; the machine was not alone, and variants that do the same work differ by
up to a third. No value of this study was chosen on the test set: a trial reads it once, at its end. The order of the
table is that of the means, not a ranking."""


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
        *answers(study, records, rows),
        *warnings(study, records, rows),
        *([_contrasts(study, records)] if study.contrasts else []),
        table(study, rows),
        "\n".join(f"![{name.removesuffix('.png')}]({name})" for name in figures),
        "## Setup",
        *([" ".join(study.notes.split())] if study.notes else []),
        setup(study, records),
        "## How to read it",
        READING,
    ]
    return "\n\n".join(parts) + "\n"


def answers(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns the paragraphs that answer the question."""
    return [
        verdict(study, rows),
        *([_chosen(study, rows)] if study.series else []),
        *([_fit(study, records)] if study.fit else []),
    ]


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
        sentences.append(f"Not decided: {_named(study, rest, ends=True)}")
    elif rest:
        seen = difference(study, max(p.visible or 0.0 for _, p in rest), sign=False)
        sentences.append(
            f"No difference to `{study.baseline}` in {words} is established: {_named(study, rest, ends=True)}; one of "
            f"{seen} would have been seen four times of five"
        )
    if few := [(n, p) for n, p in pairs if not p.significant and not p.decidable]:
        sentences.append(
            f"No test is possible of {_code([n for n, _ in few])}: with {min(p.seeds for _, p in few)} seeds no "
            f"difference can be significant among {len(pairs)} comparisons, it takes "
            f"{stats.fewest_seeds(LEVEL / len(pairs))}"
        )
    if lost := [row.variant for row in rows if row.test is None]:
        sentences.append(f"{_code(lost)} always diverged")
    sentences.append(_best_on_validation(study, rows))
    return ". ".join(s[0].upper() + s[1:] for s in sentences) + "."


def _best_on_validation(study: Study, rows: list[Row]) -> str:
    best = _by_validation(study, rows)
    paired = next(row.paired for row in rows if row.variant == best)
    if paired is None or paired.validation is None:
        return f"Best on validation: `{best}`"
    gain, *ends = paired.validation
    return f"Best on validation: `{best}` ({difference(study, gain)} there, {_ends(study, ends)})"


def _ends(study: Study, ends: Sequence[float]) -> str:
    """An interval of differences, without the unit."""
    return " to ".join(f"{METRICS[study.metric][2] * end:+.{_digits(study)}f}" for end in ends)


def _contrasts(study: Study, records: list[dict[str, Any]]) -> str:
    """Returns the table of the comparisons that the question asks for beside those with the baseline."""
    lines = [
        f"| compared | {_difference_title(study)} | p | images | on validation |",
        "|---" * 5 + "|",
    ]
    for (one, two), paired in comparison.contrasts(study, records).items():
        p = "" if paired.p_holm is None else f"{paired.p_holm:.3g}"
        gain = ""
        if paired.validation is not None:
            gain = f"{_ends(study, paired.validation[:1])} ({_ends(study, paired.validation[1:])})"
        lines.append(f"| `{one}` - `{two}` | {_paired(study, paired)} | {p} | {_images(study, paired)} | {gain} |")
    return "\n".join(lines)


def _difference_title(study: Study) -> str:
    unit = METRICS[study.metric][3]
    return f"difference, {'points' if unit == '%' else unit} (Student's 95 %) (bootstrap's)"


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
    return f"Best on validation of each curve: {', '.join(found)}."


def _be(pairs: list[tuple[str, Paired]]) -> str:
    return "is" if len(pairs) == 1 else "are"


def _named(study: Study, pairs: list[tuple[str, Paired]], *, ends: bool = False) -> str:
    return _listed(
        [f"`{n}` ({difference(study, p.mean)}{', ' + _ends(study, p.t) if ends and p.t else ''})" for n, p in pairs]
    )


def warnings(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns what must be known before a number is quoted; [] where there is nothing."""
    found = []
    small = [r.variant for r in rows if r.paired and r.paired.significant and not r.paired.beyond_examples]
    if small:
        found.append(
            f"The difference of {_code(small)} is not beyond chance when the choice of the test images is counted too: "
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
        f"{_difference_title(study)} to `{study.baseline}`": lambda r: _paired(study, r.paired),
        "p": lambda r: "" if r.paired is None or r.paired.p_holm is None else f"{r.paired.p_holm:.3g}",
        "d": lambda r: "" if r.paired is None or r.paired.effect is None else f"{r.paired.effect:.2f}",
        "seeds needed": lambda r: _needed(r.paired, sum(other.paired is not None for other in rows)),
        "images": lambda r: _images(study, r.paired),
        "McNemar": lambda r: (
            "" if r.paired is None or not r.paired.mcnemar[1] else "{} of {}".format(*r.paired.mcnemar)
        ),
        "validation": lambda r: "" if r.validation is None else value(study, r.validation),
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
        _smallest_p(study, records),
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


def _smallest_p(study: Study, records: list[dict[str, Any]]) -> str:
    seeds, comparisons = len({r["seed"] for r in records}), len({r["variant"] for r in records}) - 1
    if seeds > stats.EXACT_SEEDS:
        return f"- Comparisons: {comparisons}."
    smallest = min(1.0, comparisons * 2 / 2**seeds)
    return f"- Comparisons: {comparisons}; the smallest p that {seeds} seeds can give among so many: {smallest:.3g}."


def _plain(value: Any) -> str:
    return "(" + ", ".join(map(str, value)) + ")" if isinstance(value, list | tuple) else str(value)


def _fit(study: Study, records: list[dict[str, Any]]) -> str:
    """Returns the sentence of the power law of the error over the axis."""
    fit = comparison.fitted(study, records)
    if fit is None:
        return "A power law needs two or more variants with the same seeds."
    low, high = fit["exponent_ci95"] or (float("nan"), float("nan"))
    words = (
        f"Power law: error = {fit['factor']:.3g} * ({study.axis}) ^ -{fit['exponent']:.3f} (exponent: {low:.3f} to "
        f"{high:.3f}, 95 % bootstrap over the seeds); no mean lies further than a factor of "
        f"{np.exp(fit['misfit']):.2f} from it."
    )
    if fit["misfit_errors"] is None or fit["misfit_errors"] < BEYOND_CHANCE:
        return words
    slopes = ", ".join(f"{slope:.2f}" for slope in fit["slopes"])
    return (
        f"{words} That is {fit['misfit_errors']:.0f} standard errors, more than chance: the law describes the range "
        f"roughly and must not be continued. From place to place the exponent is {slopes}."
    )
