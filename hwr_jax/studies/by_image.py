"""A difference in accuracy with the test images as the sample: paired image by image, the seeds held fixed.

`comparison` takes the seeds as the sample. The two are answers to two questions: whether another training would show
the difference, and whether other images would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core import stats

Records = Sequence[dict[str, Any]]  # of one variant or run, a record per seed, as `scores` makes them


class OverImages(NamedTuple):
    """The difference of a variant from the baseline over the same N test images, in shares of the images.

    Where both differ on fewer than ten images, the interval is too narrow (tests/studies/test_by_image.py: it covers
    the truth in 91 %, where they differ on eighty in 95 %); then go by p, which is exact for one seed each.
    """

    images: int
    seeds: tuple[int, int]  # of the variant and of the baseline; the common ones, if they have some
    paired_by_seed: bool  # False: they have no seed in common, and each has its own
    mean: float
    t: tuple[float, float]  # Student's 95 % interval over the images
    p: float  # for one seed each McNemar's exact test, for more Student's t test over the images
    p_holm: float  # corrected for the number of comparisons
    gained: int  # images that more of the variant's seeds get right, as a share
    lost: int  # images that more of the baseline's seeds get right


def against(records: Mapping[str, Records], pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], OverImages]:
    """Returns the first of each pair against the second, corrected for their number (Holm).

    A pair is left out if a record of either does not hold its errors (`test_errors`), or was made on other images
    (`test_sha256`), or on a single one.
    """
    found = {
        (one, two): _difference(*common(records[one], records[two]))
        for one, two in pairs
        if comparable([*records[one], *records[two]])
    }
    corrected = stats.holm([over.p for over in found.values()])
    return {names: over._replace(p_holm=p) for (names, over), p in zip(found.items(), corrected, strict=True)}


def common(own: Records, base: Records) -> tuple[Records, Records]:
    """Returns the records of the seeds that both have, in the same order; if there is none, all records of both."""
    seeds = sorted({r["seed"] for r in own} & {r["seed"] for r in base})
    if not seeds:
        return own, base
    by_seed = [{r["seed"]: r for r in records} for records in (own, base)]
    first, second = ([of[seed] for seed in seeds] for of in by_seed)
    return first, second


def hits(own: Records, base: Records) -> np.ndarray:
    """Returns for each test image the share of seeds of `own` that get it right minus that of `base`: float64 [N]."""
    return _right(own).mean(0) - _right(base).mean(0)


def standard_error(own: Records, base: Records) -> float:
    """Returns the standard error of the mean difference in accuracy due to the choice of the test images."""
    return stats.test_set_error(hits(own, base))


def share_error(records: Records) -> float:
    """Returns the standard error of the mean accuracy of a variant or run due to the choice of the test images."""
    return stats.test_set_error(_right(records).mean(0))


def _right(records: Records) -> np.ndarray:
    """Whether each record gets each test image right: bool [S, N]."""
    found = np.ones((len(records), records[0]["dataset"]["examples"]["test"]), bool)
    for row, record in zip(found, records, strict=True):
        row[record["test_errors"]] = False
    return found


def comparable(records: Records) -> bool:
    """Returns whether all records hold their errors, on the same test images, of which there are two or more."""
    if not all("test_errors" in r for r in records) or len({r["test_sha256"] for r in records}) != 1:
        return False
    return records[0]["dataset"]["examples"]["test"] > 1


def _difference(own: Records, base: Records) -> OverImages:
    each = hits(own, base)
    gained, lost = int(np.sum(each > 0)), int(np.sum(each < 0))
    low, high = stats.summarise(each.tolist())["ci95"]
    single = len(own) == len(base) == 1
    return OverImages(
        images=len(each),
        seeds=(len(own), len(base)),
        paired_by_seed=[r["seed"] for r in own] == [r["seed"] for r in base],
        mean=float(each.mean()),
        t=(low, high),
        p=stats.mcnemar_p(gained, lost) if single else _t_test(each),
        p_holm=1.0,
        gained=gained,
        lost=lost,
    )


def _t_test(each: np.ndarray) -> float:
    """The two-sided p of Student's t test that the mean of [N] is 0; it has no spread to divide by if all are equal."""
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(each, 0.0).pvalue) if np.ptp(each) else float(not each.any())
