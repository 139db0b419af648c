"""The statistics of a study: every variant against the baseline, seed by seed. Decides which ones are computed.

`against` is all that it needs of the records: finished runs are compared by it too (`runs`)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.config import configs
from hwr_jax.core import stats
from hwr_jax.studies import by_image, power_law
from hwr_jax.studies.metric import Metric
from hwr_jax.studies.spec import Study

LEVEL = 0.05  # of significance, after Holm's correction


class Paired(NamedTuple):
    """The difference of a variant from the baseline, in the metric's own unit (a share, or nats); None: undefined."""

    seeds: int  # in common: both were trained with them to the end
    mean: float
    t: tuple[float, float] | None  # 95 % interval over the seeds
    bootstrap: tuple[float, float] | None
    p: float | None  # of the sign-flip test
    p_holm: float | None  # corrected for the number of comparisons
    effect: float | None  # Cohen's d of the pairs
    needed: int | None  # seeds to detect a difference of this size with 80 % power, so corrected; None: over 100,000
    visible: float | None  # the smallest difference that these seeds detect with 80 % power, likewise; None: none
    mcnemar: tuple[int, int]  # number of seeds whose outcomes differ (p < 0.05), and of all seeds
    examples_error: float | None  # standard error of the mean difference due to the choice of test examples
    validation: tuple[float, float, float] | None  # the difference on validation: mean and 95 % interval over the seeds
    diverged: tuple[int, int]  # trials that diverged: of the variant, and of what it is compared with

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance in training explains."""
        return self.p_holm is not None and self.p_holm <= LEVEL

    def claims(self, *, gain: bool) -> bool:
        """Whether the difference is significant, and what diverged does not speak against it: the pairs are those of
        the seeds that survived, so what diverged is never better, and what it is compared with was not beaten by it.

        Args:
          gain: whether the difference is for the better.
        """
        return self.significant and not self.diverged[0 if gain else 1]

    @property
    def decidable(self) -> bool:
        """Whether the test has enough seeds to reach significance among this many variants."""
        return self.p is not None and self.visible is not None

    @property
    def beyond_examples(self) -> bool:
        """Whether the interval still excludes 0 when widened by the choice of test examples (two standard errors, in
        quadrature)."""
        if self.examples_error is None or self.t is None:
            return True
        return abs(self.mean) > math.hypot((self.t[1] - self.t[0]) / 2, 2 * self.examples_error)


class Row(NamedTuple):
    """The results of a variant."""

    variant: str
    test: dict[str, Any] | None  # the metric, from `stats.summarise`; None: every trial diverged
    validation: float | None  # mean of the metric
    trials: int  # trained
    diverged: int  # of these
    train_seconds: float | None  # in the steps, of the fastest trial: the machine may have been busy during the others
    parameters: int | None  # of an ensemble, over all its members
    paired: Paired | None  # None: it is the baseline, or there is no common seed


def compare(study: Study, records: list[dict[str, Any]]) -> list[Row]:
    """Returns a row for each variant that has records, best first (by the metric's mean on the test set)."""
    by_variant = _by_variant(study, records)
    paired = against(
        study.metric, by_variant, [(name, study.baseline) for name in study.variants if name != study.baseline]
    )
    rows = [_row(study, name, own, paired.get((name, study.baseline))) for name, own in by_variant.items() if own]
    return sorted(rows, key=lambda row: math.inf if row.test is None else study.metric.badness(row.test["mean"]))


def tested(rows: list[Row]) -> int:
    """Returns the number of comparisons that the p values are corrected for."""
    return sum(row.paired is not None and row.paired.p is not None for row in rows)


def contrasts(study: Study, records: list[dict[str, Any]]) -> dict[tuple[str, str], Paired]:
    """Returns the differences of the study's CONTRASTS, first variant minus second, corrected for their number."""
    return against(study.metric, _by_variant(study, records), study.contrasts)


def _by_variant(study: Study, records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [r for r in records if r["variant"] == name] for name in study.variants}


def against(
    metric: Metric, by_variant: dict[str, list[dict[str, Any]]], pairs: list[tuple[str, str]]
) -> dict[tuple[str, str], Paired]:
    """Returns the first of each pair of variants against the second, if they have common seeds; corrected for their
    number.

    Args:
      metric: what is compared.
      by_variant: name -> records, one for each seed.
      pairs: of names.
    """
    scores = {name: _scores(metric, own) for name, own in by_variant.items()}
    seeds = {(one, two): sorted(scores[one].keys() & scores[two].keys()) for one, two in pairs}
    level = LEVEL / max(1, sum(len(common) > 1 for common in seeds.values()))  # Holm's for the smallest p
    differences = {
        (one, two): _paired(metric, by_variant[two], by_variant[one], common, level)
        for (one, two), common in seeds.items()
        if common
    }
    tested = {names: paired.p for names, paired in differences.items() if paired.p is not None}
    corrected = dict(zip(tested, stats.holm(list(tested.values())), strict=True))
    return {names: paired._replace(p_holm=corrected.get(names)) for names, paired in differences.items()}


def _scores(metric: Metric, records: list[dict[str, Any]], split: str = "test") -> dict[int, float]:
    values = {r["seed"]: metric.of(r, split) for r in records}
    return {seed: value for seed, value in values.items() if value is not None}


def _row(study: Study, name: str, records: list[dict[str, Any]], paired: Paired | None) -> Row:
    scores, validation = (list(_scores(study.metric, records, split).values()) for split in ("test", "validation"))
    seconds = [r["train_seconds"] for r in records if "train_seconds" in r]
    return Row(
        variant=name,
        test=stats.summarise(scores, within=(0.0, study.metric.highest)) if scores else None,
        validation=float(np.mean(validation)) if validation else None,
        trials=len(records),
        diverged=_diverged(records),
        train_seconds=float(np.min(seconds)) if seconds else None,
        parameters=records[0]["parameters"] * study.configs[name].seeds if "parameters" in records[0] else None,
        paired=paired,
    )


def _paired(
    metric: Metric, baseline: list[dict[str, Any]], records: list[dict[str, Any]], seeds: list[int], level: float
) -> Paired:
    d, on_validation = (
        np.array([own[s] - base[s] for s in seeds])
        for own, base in ((_scores(metric, records, k), _scores(metric, baseline, k)) for k in ("test", "validation"))
    )
    both = [{r["seed"]: r for r in group} for group in (baseline, records)]
    same = by_image.comparable([group[seed] for group in both for seed in seeds])
    mcnemar, examples_error = _by_example(*both, seeds) if same else ((0, 0), None)
    if metric.name != "accuracy":  # of each example a record holds only whether it is right
        examples_error = None
    mean = float(d.mean())
    diverged = (_diverged(records), _diverged(baseline))
    if len(seeds) < 2:
        return Paired(1, mean, None, None, None, None, None, None, None, mcnemar, examples_error, None, diverged)
    std = stats.spread(d)
    low, high = stats.summarise(d.tolist())["ci95"]
    validated = stats.summarise(on_validation.tolist())
    ends = stats.bootstrap_interval(d)
    return Paired(
        seeds=len(seeds),
        mean=mean,
        t=(low, high),
        bootstrap=(float(ends[0]), float(ends[1])),
        p=float(stats.sign_flip_p(d)),
        p_holm=None,
        effect=stats.effect_size(d),
        needed=stats.seeds_needed(mean, std, level=level),
        visible=stats.smallest_visible(std, len(seeds), level=level),
        mcnemar=mcnemar,
        examples_error=examples_error,
        validation=(validated["mean"], *validated["ci95"]),
        diverged=diverged,
    )


def _diverged(records: list[dict[str, Any]]) -> int:
    return sum(bool(r.get("diverged")) for r in records)


def _by_example(baseline: dict[int, dict], records: dict[int, dict], seeds: list[int]) -> tuple[tuple[int, int], float]:
    """McNemar's test for each seed, and the standard error of the mean difference over the test examples."""
    differ = 0
    for seed in seeds:
        base, own = (set(group[seed]["test_errors"]) for group in (baseline, records))
        differ += stats.mcnemar_p(len(base - own), len(own - base)) < LEVEL
    own, base = ([group[seed] for seed in seeds] for group in (records, baseline))
    return (int(differ), len(seeds)), by_image.standard_error(own, base)


def along_axis(
    study: Study, records: list[dict[str, Any]], variants: Iterable[str] | None = None, *, split: str = "test"
) -> dict[float, dict[int, float]]:
    """Returns the error (`Metric.error`) of every seed at each point of the study's axis, in rising order.

    Covers the given variants (None: all) that have a score.
    """
    names = list(study.variants if variants is None else variants)
    scores = {name: _scores(study.metric, [r for r in records if r["variant"] == name], split) for name in names}
    at = dict(zip(names, places(study, names), strict=True))
    return {
        at[name]: {seed: study.metric.error(value) for seed, value in scores[name].items()}
        for name in sorted(scores, key=lambda name: at[name])
        if scores[name]
    }


def places(study: Study, variants: Iterable[str]) -> list[float]:
    """Returns the positions of the variants on the study's axis."""
    return [float(configs.flatten(study.configs[name])[study.axis]) for name in variants]


def fitted(study: Study, records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns `power_law.fit_law` of the error over the axis, for the seeds that all variants share.

    None: fewer than two variants, no common seed, or a mean error of 0.
    """
    curve = along_axis(study, records)
    seeds = sorted(set.intersection(*map(set, curve.values()))) if curve else []
    error = np.array([[errors[seed] for seed in seeds] for errors in curve.values()])
    if len(curve) < 2 or not seeds or not (error.mean(1) > 0).all():
        return None
    return power_law.fit_law(np.array(list(curve)), error)
