"""What a study's records support, in sentences. `comparison` computes the numbers."""

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
        nothing = "Nothing can be said yet: no variant has two or more scored seeds in common with the baseline"
        return ". ".join([nothing, *_divergence(rows)]) + "."
    found = [(n, p) for n, p in pairs if p.significant]
    better, worse = ([(n, p) for n, p in found if study.metric.is_gain(p.mean) == gain] for gain in (True, False))
    unsure_better, better = _split(better, gain=True)
    unsure_worse, worse = _split(worse, gain=False)
    rest = [(n, p) for n, p in pairs if not p.significant and p.decidable]
    sentences = []
    if better:
        sentences.append(f"In {words}, {_named(study, better)} {_be(better)} better than `{study.baseline}`")
    if worse:
        than = "" if better else f" than `{study.baseline}` in {words}"
        sentences.append(f"{_named(study, worse)} {_be(worse)} worse{than}")
    sentences += _divergence(rows)
    if unsure_better:
        sentences.append(f"Not called better, because trials diverged: {_named(study, unsure_better, seeds=True)}")
    if unsure_worse:
        named = _named(study, unsure_worse, seeds=True)
        sentences.append(f"Not called worse, because trials of `{study.baseline}` diverged: {named}")
    if rest and found:
        sentences.append(f"Not significant: {_named(study, rest, ends=True)}")
    elif rest:
        seen = max(p.visible or 0.0 for _, p in rest)
        visible = f"{study.metric.value(seen)} {study.metric.difference_unit}"
        power = f"; a difference of {visible} would have been detected with 80 % power"
        sentences.append(
            f"No significant difference from `{study.baseline}` in {words}: {_named(study, rest, ends=True)}"
            f"{power if seen else ''}"
        )
    if few := [(n, p) for n, p in pairs if not p.significant and not p.decidable]:
        sentences.append(_untestable([(f"`{n}`", p) for n, p in few], len(pairs)))
    if lost := [row.variant for row in rows if row.test is None]:
        sentences.append(f"{_code(lost)} always diverged")
    sentences.append(_best_on_validation(study, rows))
    return ". ".join(s[0].upper() + s[1:] for s in sentences) + "."


def _untestable(few: list[tuple[str, Paired]], comparisons: int) -> str:
    """Returns the sentence about comparisons with too few seeds for any result to be significant."""
    seeds, needed = min(p.seeds for _, p in few), stats.fewest_seeds(LEVEL / comparisons)
    names = _listed([name for name, _ in few])
    return (
        f"No test is possible for {names}: with {seeds} seeds no result can be significant "
        f"among {comparisons} comparison{'s' * (comparisons > 1)}; {needed} seeds are needed"
    )


def _split(pairs: list[tuple[str, Paired]], *, gain: bool) -> tuple[list, list]:
    """Returns the significant pairs that trials which diverged speak against, and the others."""
    return [one for one in pairs if not one[1].claims(gain=gain)], [one for one in pairs if one[1].claims(gain=gain)]


def _divergence(rows: list[Row]) -> list[str]:
    """Returns the sentence, if any, about variants of which some trials diverged."""
    lost = [f"`{row.variant}` {row.diverged} of {row.trials}" for row in rows if row.test is not None and row.diverged]
    return [f"Diverged: {_listed(lost)} trials"] if lost else []


def _contrasted(study: Study, found: dict[tuple[str, str], Paired]) -> str:
    """Returns the sentences about the further comparisons that the study asks for (CONTRASTS)."""
    named = {f"`{one}` - `{two}`": pair for (one, two), pair in found.items() if pair.t is not None}
    claimed = {name: pair.claims(gain=study.metric.is_gain(pair.mean)) for name, pair in named.items()}
    clear = [f"{name} ({study.metric.difference(pair.mean)})" for name, pair in named.items() if claimed[name]]
    lost = [
        f"{name} ({study.metric.difference(pair.mean)} over {pair.seeds} seeds)"
        for name, pair in named.items()
        if pair.significant and not claimed[name]
    ]
    rest = [
        f"{name} ({study.metric.difference(pair.mean)}, {study.metric.interval(pair.t or ())})"
        for name, pair in named.items()
        if not pair.significant and pair.decidable
    ]
    sentences = ["Direct comparisons: none yet"]
    if clear or lost:
        sentences = [f"Direct comparisons: {'; '.join(clear) or 'none clear'}"]
        sentences += [f"Unsettled, because trials diverged: {'; '.join(lost)}"] if lost else []
        sentences += [f"Not significant: {'; '.join(rest)}"] if rest else []
    elif rest:
        sentences = [f"Direct comparisons, none significant: {'; '.join(rest)}"]
    if few := [(name, pair) for name, pair in named.items() if not pair.significant and not pair.decidable]:
        sentences.append(_untestable(few, len(named)))
    return ". ".join(sentences) + "."


def _best_on_validation(study: Study, rows: list[Row]) -> str:
    best = _by_validation(study, rows)
    paired = next(row.paired for row in rows if row.variant == best)
    if paired is None or paired.validation is None:
        return f"Best on validation: `{best}`"
    gain, *ends = paired.validation
    return f"Best on validation: `{best}` ({study.metric.difference(gain)}, {study.metric.interval(ends)})"


def _by_validation(study: Study, rows: list[Row]) -> str:
    """The variant with the best mean, among those with the most trials that did not diverge."""
    return min(
        (-min(study.seeds, len(row.test["per_seed"])), study.metric.badness(row.validation), row.variant)
        for row in rows
        if row.test is not None and row.validation is not None
    )[2]


def _chosen(study: Study, rows: list[Row]) -> str:
    """Returns the sentence about the variant of each series that is best on validation."""
    choices = []
    for name, of in study.series.items():
        scored = [row for row in rows if row.variant in of and row.test is not None]
        best = _by_validation(study, scored) if scored else ""
        at = f"`{best}` ({study.axis} {configs.flatten(study.configs[best])[study.axis]:g})" if best else "none"
        choices.append(f"{name} {at}")
    return f"Best on validation for each curve: {', '.join(choices)}."


def _be(subjects: list[Any]) -> str:
    return "is" if len(subjects) == 1 else "are"


def _named(study: Study, pairs: list[tuple[str, Paired]], *, ends: bool = False, seeds: bool = False) -> str:
    def shown(paired: Paired) -> str:
        interval = f", {study.metric.interval(paired.t)}" if ends and paired.t else ""
        over = f" over the other {paired.seeds} seeds" if seeds else ""
        return f"{study.metric.difference(paired.mean)}{interval}{over}"

    return _listed([f"`{name}` ({shown(paired)})" for name, paired in pairs])


def warnings(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns the `notes` as paragraphs of the report."""
    return [f"> **Note.** {words}" for words in notes(study, records, rows)]


def notes(study: Study, records: list[dict[str, Any]], rows: list[Row]) -> list[str]:
    """Returns what a reader needs to know before quoting a number, a sentence each."""
    found = []
    small = [r.variant for r in rows if r.paired and r.paired.significant and not r.paired.beyond_examples]
    small += [
        f"{one} - {two}"
        for (one, two), pair in comparison.contrasts(study, records).items()
        if pair.significant and not pair.beyond_examples
    ]
    if small:
        found.append(
            f"The difference{'s' if len(small) > 1 else ''} of {_code(small)} {_be(small)} significant on these test "
            "images, but not when the choice of test images is counted too, and may not hold on others."
        )
    if lost := [f"`{r.variant}` {r.diverged} of {_count(records, r.variant)}" for r in rows if r.diverged]:
        found.append(f"Trials that diverged (loss not finite), excluded from the means: {', '.join(lost)}.")
    missing = [
        f"`{name}` {_count(records, name)} of {study.seeds}"
        for name in study.variants
        if _count(records, name) < study.seeds
    ]
    if missing:
        found.append(f"The study is incomplete; seeds trained so far: {', '.join(missing)}.")
    if len({r["test_sha256"] for r in records}) > 1:
        found.append("The variants were tested on different images: what differs may be these, not the networks.")
    if len({r["code"]["sha256"] for r in records}) > 1:
        found.append("The records were made by several versions of the code.")
    if len({tuple(r["devices"]) for r in records}) > 1:
        found.append("The records were made on several kinds of devices.")
    return found


def _count(records: list[dict[str, Any]], variant: str) -> int:
    return sum(r["variant"] == variant for r in records)


def _code(names: list[str]) -> str:
    return _listed([f"`{name}`" for name in names])


def _listed(words: list[str]) -> str:
    """The words as a list in a sentence; if there are very many, the first few and the number of the others."""
    if len(words) > MANY:
        words = [*words[: MANY // 2], f"{len(words) - MANY // 2} others"]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _fit(study: Study, records: list[dict[str, Any]]) -> str:
    """Returns the sentences about the power law of the error over the axis."""
    fit = comparison.fitted(study, records)
    if fit is None:
        return "No power law was fitted: it needs errors above 0 for two or more variants with common seeds."
    interval = ""
    if fit["exponent_ci95"] is not None:
        interval = " (exponent: {:.3f} to {:.3f}, Student's 95 % interval over the seeds)".format(*fit["exponent_ci95"])
    words = (
        f"Power law: error = {fit['factor']:.3g} * ({study.axis}) ^ -{fit['exponent']:.3f}{interval}; every "
        f"mean lies within a factor of {np.exp(fit['misfit']):.2f} of it."
    )
    if not fit["beyond_chance"]:
        return words
    slopes = ", ".join(f"{slope:.2f}" for slope in fit["slopes"])
    return (
        f"{words} That is {fit['misfit_errors']:.0f} standard errors, more than chance explains: the law only roughly "
        f"describes this range and must not be extrapolated. Between neighbouring points the exponent is {slopes}."
    )
