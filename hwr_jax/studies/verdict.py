"""What a study's records support, in sentences. The numbers are `comparison`'s."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwr_jax.config import configs
from hwr_jax.core import stats
from hwr_jax.studies import comparison
from hwr_jax.studies.comparison import LEVEL, Paired, Row
from hwr_jax.studies.spec import Study

MANY = 12  # names in a sentence


def answers(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns the paragraphs that answer the question."""
    return [
        verdict(study, rows),
        *([_contrasted(study, comparison.contrasts(study, records))] if study.contrasts else []),
        *([_chosen(study, rows)] if study.series else []),
        *([_fit(study, records)] if study.fit else []),
    ]


def verdict(study: Study, rows: list[Row]) -> str:
    """Returns what the statistics support, in a few sentences."""
    words = study.metric.words
    pairs = [(row.variant, row.paired) for row in rows if row.paired is not None and row.paired.p is not None]
    if not pairs:
        return "Nothing can be said: the baseline and another variant have scores of fewer than two common seeds."
    found = [(n, p) for n, p in pairs if p.significant]
    better = [(n, p) for n, p in found if study.metric.is_gain(p.mean)]
    worse = [(n, p) for n, p in found if not study.metric.is_gain(p.mean)]
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
        seen = max(p.visible or 0.0 for _, p in rest)
        visible = f"{study.metric.value(seen)} {study.metric.difference_unit}"
        power = f"; one of {visible} would have been seen four times of five"
        sentences.append(
            f"No difference to `{study.baseline}` in {words} is established: {_named(study, rest, ends=True)}"
            f"{power if seen else ''}"
        )
    if few := [(n, p) for n, p in pairs if not p.significant and not p.decidable]:
        sentences.append(
            f"No test is possible of {_code([n for n, _ in few])}: with {min(p.seeds for _, p in few)} seeds none can "
            f"be the first significant one of {len(pairs)} comparisons, it takes "
            f"{stats.fewest_seeds(LEVEL / len(pairs))}"
        )
    if lost := [row.variant for row in rows if row.test is None]:
        sentences.append(f"{_code(lost)} always diverged")
    sentences.append(_best_on_validation(study, rows))
    return ". ".join(s[0].upper() + s[1:] for s in sentences) + "."


def _contrasted(study: Study, found: dict[tuple[str, str], Paired]) -> str:
    """Returns what the comparisons that the question asks for beside the baseline support."""
    named = {f"`{one}` - `{two}`": pair for (one, two), pair in found.items() if pair.t is not None}
    clear = [f"{name} ({study.metric.difference(pair.mean)})" for name, pair in named.items() if pair.significant]
    rest = [
        f"{name} ({study.metric.difference(pair.mean)}, {study.metric.interval(pair.t or ())})"
        for name, pair in named.items()
        if not pair.significant
    ]
    sentences = ["; ".join(clear)] if clear else []
    sentences += [f"{'N' if clear else 'n'}ot decided: {'; '.join(rest)}"] if rest else []
    return f"Compared with each other: {'. '.join(sentences) or 'nothing yet'}."


def _best_on_validation(study: Study, rows: list[Row]) -> str:
    best = _by_validation(study, rows)
    paired = next(row.paired for row in rows if row.variant == best)
    if paired is None or paired.validation is None:
        return f"Best on validation: `{best}`"
    gain, *ends = paired.validation
    return f"Best on validation: `{best}` ({study.metric.difference(gain)} there, {study.metric.interval(ends)})"


def _by_validation(study: Study, rows: list[Row]) -> str:
    """The best mean; but a variant with fewer trials that ended well is no choice where another has more."""
    return min(
        (-min(study.seeds, len(row.test["per_seed"])), study.metric.badness(row.validation), row.variant)
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
    def said(paired: Paired) -> str:
        interval = f", {study.metric.interval(paired.t)}" if ends and paired.t else ""
        return f"{study.metric.difference(paired.mean)}{interval}"

    return _listed([f"`{name}` ({said(paired)})" for name, paired in pairs])


def warnings(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns what must be known before a number is quoted; [] where there is nothing."""
    found = []
    small = [r.variant for r in rows if r.paired and r.paired.significant and not r.paired.beyond_examples]
    small += [
        f"{one} - {two}"
        for (one, two), pair in comparison.contrasts(study, records).items()
        if pair.significant and not pair.beyond_examples
    ]
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


def _fit(study: Study, records: list[dict[str, Any]]) -> str:
    """Returns the sentence of the power law of the error over the axis."""
    fit = comparison.fitted(study, records)
    if fit is None:
        return "A power law needs errors above 0 of two or more variants with the same seeds."
    interval = ""
    if fit["exponent_ci95"] is not None:
        interval = " (exponent: {:.3f} to {:.3f}, 95 % bootstrap over the seeds)".format(*fit["exponent_ci95"])
    words = (
        f"Power law: error = {fit['factor']:.3g} * ({study.axis}) ^ -{fit['exponent']:.3f}{interval}; no mean lies "
        f"further than a factor of {np.exp(fit['misfit']):.2f} from it."
    )
    if not fit["beyond_chance"]:
        return words
    slopes = ", ".join(f"{slope:.2f}" for slope in fit["slopes"])
    return (
        f"{words} That is {fit['misfit_errors']:.0f} standard errors, more than chance: the law describes the range "
        f"roughly and must not be continued. From place to place the exponent is {slopes}."
    )
