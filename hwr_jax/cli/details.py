"""Tables that go into detail about a split: its classes, or the lengths of its strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def table(scores: dict[str, Any], classes: Sequence[str]) -> Table:
    """Returns the table of a split's classes (or of the lengths of its strings), in the order of the model's classes.

    Args:
      scores: from `evaluation.scores`: `per_class` as means over the seeds, `confusion` [K, K] as their sum.
      classes: the K names.
    """
    if "per_length" in scores:
        found = scores["per_length"]
        made = _columns("length", "examples", "accuracy")
        for length, examples, accuracy in zip(*(found[k] for k in ("length", "examples", "accuracy")), strict=True):
            made.add_row(f"{length:g}", f"{examples:,.0f}", _percent(accuracy))
        return made
    found, confusion = scores["per_class"], scores["confusion"]
    made = _columns("class", "examples", "precision", "recall", "F1")
    made.add_column("most often read as")
    for k, name in enumerate(classes):
        support, read = found["support"][k], sum(row[k] for row in confusion)
        if not support and not read:  # the set lacks the class, and nothing is taken for it
            continue
        cells = [_percent(found["precision"][k]) if read else "", _percent(found["recall"][k]) if support else ""]
        made.add_row(name, f"{support:,.0f}", *cells, _percent(found["f1"][k]), _mistakes(confusion[k], k, classes))
    return made


def _columns(first: str, *others: str) -> Table:
    made = Table(first)
    for name in others:
        made.add_column(name, justify="right")
    return made


def _mistakes(row: Sequence[int], own: int, classes: Sequence[str]) -> str:
    """The two classes that most examples of a class are taken for, with the share of its examples."""
    wrong = sorted((-count, k) for k, count in enumerate(row) if count and k != own)
    return ", ".join(f"{classes[k]} {_percent(-count / sum(row))}" for count, k in wrong[:2])


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def of_selective(found: dict[str, Any]) -> str:
    """Returns the sentences about `evaluation.selective`."""
    said = []
    for accuracy, rejection in found["rejected"].items():
        wanted = f"{100 * float(accuracy):g} %"
        if rejection["from"] is None:
            said.append(f"No confidence is high enough for {wanted}.")
        else:
            share = f"{_percent(rejection['share'])}, those read with a confidence below {rejection['from']:.4f}"
            rejected = f"you reject {share}" if rejection["share"] else "you reject nothing"
            said.append(f"{wanted} of what you accept is right if {rejected}.")
    return "\n".join([*said, f"Area under the risk-coverage curve: {found['aurc']:.6f}"])
