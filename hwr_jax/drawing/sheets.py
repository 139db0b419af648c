"""All figures of runs by name, in the order in which they are drawn, and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hwr_jax.core.types import Arrays
from hwr_jax.drawing import classes, curves, embedding, evidence, features, hardest
from hwr_jax.drawing.record import Record
from hwr_jax.workdir import figures

RECORDS, TEST, NETWORK = "records", "test", "network"


class Sheet(NamedTuple):
    """A figure."""

    draw: Callable[..., bool | None]  # False: there was nothing to draw
    needs: str  # RECORDS: of all runs; TEST: the first run and its test images; NETWORK: its network, too
    of_classes: bool = False  # undefined for strings


SHEETS = {
    "curves": Sheet(curves.learning, RECORDS),
    "calibration": Sheet(curves.calibration, RECORDS),
    "risk_coverage": Sheet(curves.risk_coverage, RECORDS),
    "classes": Sheet(classes.table, RECORDS, of_classes=True),
    "confusion": Sheet(lambda path, records: _confusion(path, records[0]), RECORDS, of_classes=True),
    "hardest": Sheet(hardest.draw, TEST),
    "embedding": Sheet(embedding.draw, NETWORK, of_classes=True),
    "evidence": Sheet(evidence.draw, NETWORK, of_classes=True),
    "features": Sheet(features.draw, NETWORK, of_classes=True),
}


def draw(
    name: str,
    path: Path,
    records: Sequence[Record],
    test: Callable[[], Arrays],
    network: Callable[[], Any],
) -> bool:
    """Draws the figure of that name, and returns whether there was something to draw.

    Args:
      name: a key of `SHEETS`.
      path: of the PNG file; one of an earlier call is replaced, or removed if there is nothing to draw.
      records: of the runs, the first of which all figures show.
      test: returns the test images of the first run; called only if they are needed.
      network: returns the first run's network (see `network.open_run`); likewise.
    """
    sheet, path = SHEETS[name], Path(path)
    if sheet.of_classes and records[0].reads_strings:
        something = False
    elif sheet.needs == RECORDS:
        something = sheet.draw(path, records)
    elif sheet.needs == TEST:
        something = sheet.draw(path, records[0], test())
    else:
        something = sheet.draw(path, records[0], network(), test())
    if something is False:
        path.unlink(missing_ok=True)
    return something is not False


def shows_several(name: str) -> bool:
    """Returns whether the figure of that name shows all runs, not the first alone."""
    return SHEETS[name].needs == RECORDS and name != "confusion"


def why_not(name: str, record: Record) -> str:
    """Returns why `draw` drew nothing: what the run does or lacks."""
    if SHEETS[name].of_classes and record.reads_strings:
        return "reads strings"
    return "begins neither with a convolution nor with a matrix of the pixels"


def _confusion(path: Path, record: Record) -> None:
    seeds = "" if len(record.seeds) == 1 else f", all {len(record.seeds)} seeds"
    matrix = classes.scores(record)[1]
    figures.confusion_matrix(path, matrix, record.classes, f"{record.name} on {record.facts['name']}{seeds}")
