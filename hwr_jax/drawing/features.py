"""The first layer: its filters, and what each makes of one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import canvas
from hwr_jax.core.types import Arrays
from hwr_jax.drawing.network import Network
from hwr_jax.drawing.record import Record
from hwr_jax.workdir import figures

SHOWN = 32  # filters
COLUMNS = 8


def draw(path: Path, record: Record, network: Network, test: Arrays) -> bool:
    """Draws each filter with its feature map of the first test image that all seeds read rightly; of a network that
    does not begin with a convolution, the weights from the pixels to each unit. Returns False if it has neither."""
    filters = figures.filters_of(network.variables["params"])
    if filters is None:
        return False
    filters, layer = filters[:SHOWN], network.first_convolution
    words = f"The first layer of {record.name}, seed {network.seed}"
    if layer is None:
        figures.montage(path, filters, None, f"{words}: weights from each pixel", columns=COLUMNS, signed=True)
        return True
    example = int(np.argmax(record.correct.all(0)))
    image = np.asarray(test.image)[example : example + 1]
    maps = network.watched(image, layer).given[0].transpose(2, 0, 1)[: len(filters)]
    rows = -(-len(filters) // COLUMNS)
    title = f"{words}: filters, and the map that each makes of the digit"
    with canvas.drawn(path, 7.5, 0.8 + 1.55 * rows, title=title) as figure:
        digit, others = figure.subfigures(1, 2, width_ratios=(1.3, COLUMNS))
        _tile(digit.subplots(), np.asarray(network.framed(image))[0, ..., 0], "gray_r", 0, 1)
        digit.axes[0].set_title(f"#{example}, a {record.classes[record.label[example]]}", fontsize=8)
        panels = others.subplots(2 * rows, min(COLUMNS, len(filters)), squeeze=False, height_ratios=[0.6, 1] * rows)
        weight, height = float(np.abs(filters).max()), float(np.abs(maps).max())
        for panel in panels.flat:
            panel.set_axis_off()
        for i, (one, made) in enumerate(zip(filters, maps, strict=True)):
            row, column = divmod(i, COLUMNS)
            _tile(panels[2 * row, column], one, canvas.theme().signed, -weight, weight)
            _tile(panels[2 * row + 1, column], made, canvas.theme().signed, -height, height)
        figure.supxlabel(
            "blue: positive, orange: negative; the maps are those before pooling and activation", fontsize=8
        )
    return True


def _tile(axes: Any, image: np.ndarray, cmap: str, low: float, high: float) -> None:
    axes.imshow(image, cmap=cmap, vmin=low, vmax=high)
    axes.set_axis_off()
