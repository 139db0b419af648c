"""The test images on which label and network disagree most: mistakes of the network, or of the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwr_jax.core.types import Arrays
from hwr_jax.drawing.record import Record
from hwr_jax.tasks import metrics
from hwr_jax.workdir import figures

SHOWN = 30


def ranked(record: Record) -> np.ndarray:
    """Returns the indices int [n] of the test images that any seed reads wrongly, from the highest mean loss."""
    wrong = np.flatnonzero(~record.correct.all(0))
    return wrong[np.argsort(-record.loss[:, wrong].mean(0), kind="stable")]


def caption(record: Record, i: int) -> str:
    """Returns two lines about a test image: its number and label; what most seeds read, how sure they are on average,
    and how many of them."""
    read = [metrics.text(pred, record.classes) for pred in record.pred[:, i]]
    texts = sorted(set(read), key=lambda text: (-read.count(text), text))
    label = metrics.text(record.label[i], record.classes)
    most = next((text for text in texts if text != label), texts[0])
    by = [s for s, text in enumerate(read) if text == most]
    votes = "" if len(read) == 1 else f", {len(by)} of {len(read)}"
    return f"#{i} label {label}\nread {most or 'nothing'}, {record.confidence[by, i].mean():.0%}{votes}"


def draw(path: Path, record: Record, test: Arrays) -> None:
    """Draws them, each with its disputed label."""
    found = ranked(record)[:SHOWN]
    seeds = "" if len(record.seeds) == 1 else f"; of {len(record.seeds)} seeds"
    title = f"Hardest test images: {record.name} on {record.facts['name']} (highest loss first{seeds})"
    captions = [caption(record, i) for i in found]
    figures.montage(path, np.asarray(test.image)[found, :, :, 0], captions, title, columns=6)
