"""The metrics that a study can compare: what each is called, which way is better, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """A score of the test set. Values and differences are passed in its own unit: a share, or nats."""

    name: str  # key in the records
    words: str
    higher_is_better: bool
    factor: float  # from a value to the number shown
    unit: str  # of the number shown
    digits: int  # after the decimal point
    highest: float = 1.0  # that a value can be

    @property
    def difference_unit(self) -> str:
        """The unit of a difference: percentage points are points."""
        return "points" if self.unit == "%" else self.unit

    def value(self, number: float) -> str:
        """Returns a value without its unit: 98.930."""
        return f"{self.factor * number:.{self.digits}f}"

    def value_with_unit(self, number: float) -> str:
        """Returns a value with its unit: 98.930 %."""
        return f"{self.value(number)} {self.unit}"

    def signed(self, number: float) -> str:
        """Returns a difference without its unit: +0.093."""
        return f"{self.factor * number:+.{self.digits}f}"

    def difference(self, number: float) -> str:
        """Returns a difference with its sign and unit: +0.093 points."""
        return f"{self.signed(number)} {self.difference_unit}"

    def interval(self, ends: Sequence[float]) -> str:
        """Returns an interval of differences, without the unit: -0.045 to +0.037."""
        return " to ".join(map(self.signed, ends))

    def is_gain(self, difference: float) -> bool:
        """Whether a difference is for the better."""
        return (difference > 0) == self.higher_is_better

    def badness(self, value: float) -> float:
        """Returns a number that is lowest for the best value: a key to sort by."""
        return -value if self.higher_is_better else value

    def error(self, value: float) -> float:
        """Returns 1 - value where higher is better, else the value."""
        return 1 - value if self.higher_is_better else value

    def of(self, record: dict[str, Any], split: str = "test") -> float | None:
        """Returns a record's value on a split; None: the trial diverged."""
        return None if record.get("diverged") else record[split][self.name]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "test accuracy", higher_is_better=True, factor=100.0, unit="%", digits=3),
        Metric("loss", "test loss", higher_is_better=False, factor=1.0, unit="nats", digits=4, highest=math.inf),
        Metric(
            "cer", "test character error rate", higher_is_better=False, factor=100.0, unit="%", digits=3,
            highest=math.inf,
        ),
        Metric("ece", "test calibration error", higher_is_better=False, factor=100.0, unit="%", digits=3),
        Metric("f1_macro", "test F1 (macro)", higher_is_better=True, factor=100.0, unit="%", digits=3),
    )
}  # fmt: skip
STRINGS_ONLY = ("cer",)
CLASSES_ONLY = ("f1_macro",)
