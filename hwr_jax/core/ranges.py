"""Ranges of numbers: whether a value is allowed, and the words for it in an error message."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Range(NamedTuple):
    """The allowed values of a number."""

    holds: Callable[[Any], bool]
    words: str  # "a number from 0 to 1"


def number(low: float, high: float) -> Range:
    """Returns the range low..high."""
    return Range(lambda v: low <= v <= high, f"a number from {low} to {high}")


def below(low: float, high: float) -> Range:
    """Returns the range low..high without `high`."""
    return Range(lambda v: low <= v < high, f"a number from {low} to below {high}")


def integer(low: int, high: int | None = None) -> Range:
    """Returns the range low..high of integers (the config checks the type); without `high` it has no end."""
    if high is None:
        return Range(lambda v: v >= low, f"an integer >= {low}")
    return Range(lambda v: low <= v <= high, f"an integer from {low} to {high}")


COUNT = integer(1)
POSITIVE = Range(lambda v: 0 < v < math.inf, "a number > 0")
NOT_NEGATIVE = Range(lambda v: 0 <= v < math.inf, "a number >= 0")
RATE = below(0, 1)
SHARE = number(0, 1)
