"""What a study's records say: every variant against the baseline, seed by seed. Owns which statistics are computed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from hwr_jax import config as configs
from hwr_jax import stats
from hwr_jax.study_file import METRICS, Study

LEVEL = 0.05  # of significance, after Holm's correction


class Paired(NamedTuple):
    """The difference of a variant to the baseline, in the metric's own unit (a share, or nats); None: not defined."""

    seeds: int  # that both have
    mean: float
    t: tuple[float, float] | None  # 95 % interval over the seeds
    bootstrap: tuple[float, float] | None
    p: float | None  # of the sign-flip test
    p_holm: float | None  # corrected for all variants of the study
    effect: float | None  # Cohen's d of the pairs
    std: float | None  # of the differences
    needed: int | None  # seeds to see a difference of this size four times of five, corrected for all variants
    visible: float | None  # the smallest difference that these seeds see four times of five, likewise; None: none
    mcnemar: tuple[int, int]  # seeds whose outcomes differ (p < 0.05), of how many
    examples_error: float | None  # standard error of the mean difference from the choice of the test examples

    @property
    def significant(self) -> bool:
        """Whether chance in training does not explain it."""
        return self.p_holm is not None and self.p_holm <= LEVEL

    @property
    def decidable(self) -> bool:
        """Whether the test could see any difference with so few seeds, among so many variants."""
        return self.p is not None and self.visible is not None

    @property
    def beyond_examples(self) -> bool:
        """Whether it is larger than what another choice of test examples would change: two standard errors."""
        return self.examples_error is None or abs(self.mean) > 2 * self.examples_error


class Row(NamedTuple):
    """A variant."""

    variant: str
    test: dict[str, Any] | None  # of the metric, as `stats.summarise` gives it; None: every trial diverged
    validation: float | None  # mean of the metric
    diverged: int
    train_seconds: float | None  # of a trial, in the steps: the median, for the machine may have been busy
    compile_seconds: float
    parameters: int | None
    paired: Paired | None  # None: of the baseline, or without a common seed


def compare(study: Study, records: list[dict[str, Any]]) -> list[Row]:
    """Returns a row for each variant that has records, the best first (by the mean of the metric on the test set)."""
    by_variant = {name: [r for r in records if r["variant"] == name] for name in study.variants}
    base = _scores(study, by_variant[study.baseline])
    paired = {
        name: _pair(study, by_variant[study.baseline], own, base)
        for name, own in by_variant.items()
        if name != study.baseline
    }
    tested = {name: pair.p for name, pair in paired.items() if pair is not None and pair.p is not None}
    corrected = dict(zip(tested, stats.holm(list(tested.values())), strict=True))
    rows = [
        _row(study, name, own, _with_holm(paired.get(name), corrected.get(name)))
        for name, own in by_variant.items()
        if own
    ]
    best = -1 if METRICS[study.metric][1] else 1
    return sorted(rows, key=lambda row: math.inf if row.test is None else best * row.test["mean"])


def _with_holm(pair: Paired | None, p: float | None) -> Paired | None:
    return pair and pair._replace(p_holm=p)


def _scores(study: Study, records: list[dict[str, Any]], split: str = "test") -> dict[int, float]:
    return {r["seed"]: r[split][study.metric] for r in records if not r.get("diverged")}


def _row(study: Study, name: str, records: list[dict[str, Any]], paired: Paired | None) -> Row:
    scores, validation = (list(_scores(study, records, split).values()) for split in ("test", "validation"))
    seconds = [r["train_seconds"] for r in records if "train_seconds" in r]
    return Row(
        variant=name,
        test=stats.summarise(scores, within=(0.0, math.inf if study.metric in ("loss", "cer") else 1.0))
        if scores
        else None,
        validation=float(np.mean(validation)) if validation else None,
        diverged=sum(bool(r.get("diverged")) for r in records),
        train_seconds=float(np.median(seconds)) if seconds else None,
        compile_seconds=sum(r.get("compile_seconds", 0.0) for r in records),
        parameters=records[0].get("parameters"),
        paired=paired,
    )


def _pair(
    study: Study, baseline: list[dict[str, Any]], records: list[dict[str, Any]], base: dict[int, float]
) -> Paired | None:
    level = LEVEL / (len(study.variants) - 1)  # what Holm asks of the smallest p
    own = _scores(study, records)
    seeds = sorted(own.keys() & base.keys())
    if not seeds:
        return None
    d = np.array([own[s] - base[s] for s in seeds])
    both = [{r["seed"]: r for r in group} for group in (baseline, records)]
    same = baseline[0]["test_sha256"] == records[0]["test_sha256"]
    mcnemar, examples_error = _by_example(*both, seeds) if same else ((0, 0), None)
    if study.metric != "accuracy":  # what a record has of each example is only whether it is right
        examples_error = None
    mean = float(d.mean())
    if len(seeds) < 2:
        return Paired(1, mean, None, None, None, None, None, None, None, None, mcnemar, examples_error)
    std = float(d.std(ddof=1))
    low, high = stats.summarise(d.tolist())["ci95"]
    ends = stats.bootstrap_interval(d)
    return Paired(
        seeds=len(seeds),
        mean=mean,
        t=(low, high),
        bootstrap=(float(ends[0]), float(ends[1])),
        p=float(stats.sign_flip_p(d)),
        p_holm=None,
        effect=stats.effect_size(d),
        std=std,
        needed=stats.seeds_needed(mean, std, level=level),
        visible=stats.smallest_visible(std, len(seeds), level=level),
        mcnemar=mcnemar,
        examples_error=examples_error,
    )


def _by_example(baseline: dict[int, dict], records: dict[int, dict], seeds: list[int]) -> tuple[tuple[int, int], float]:
    """McNemar's test of each pair of seeds, and the standard error of their mean difference over the test examples."""
    examples = baseline[seeds[0]]["dataset"]["examples"]["test"]
    hits, differ = np.zeros(examples), 0
    for seed in seeds:
        base, own = (set(group[seed]["test_errors"]) for group in (baseline, records))
        gained, lost = base - own, own - base
        differ += stats.mcnemar_p(len(gained), len(lost)) < LEVEL
        hits[list(gained)] += 1 / len(seeds)
        hits[list(lost)] -= 1 / len(seeds)
    return (int(differ), len(seeds)), stats.test_set_error(hits)


def along_axis(
    study: Study, records: list[dict[str, Any]], variants: Iterable[str] | None = None
) -> dict[float, dict[int, float]]:
    """Returns the error of every seed at each place of the study's axis, rising: 1 - the metric, or the metric itself
    where lower is better. Of the variants (None: of the study) that have a score."""
    names = study.variants if variants is None else variants
    scores = {name: _scores(study, [r for r in records if r["variant"] == name]) for name in names}
    at = {name: float(configs.flatten(study.configs[name])[study.axis]) for name in scores}
    higher = METRICS[study.metric][1]
    return {
        at[name]: {seed: 1 - value if higher else value for seed, value in scores[name].items()}
        for name in sorted(scores, key=lambda name: at[name])
        if scores[name]
    }


def fitted(study: Study, records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns `stats.power_law` of the error over the axis, of the seeds that all variants have; None: too few."""
    curve = along_axis(study, records)
    seeds = sorted(set.intersection(*map(set, curve.values()))) if curve else []
    error = np.array([[errors[seed] for seed in seeds] for errors in curve.values()])
    if len(curve) < 2 or not seeds or not (error.mean(1) > 0).all():
        return None
    return stats.power_law(np.array(list(curve)), error)
