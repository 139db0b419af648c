"""The canvas of every figure, and its resolution. Imports matplotlib only when a figure is drawn."""

from __future__ import annotations

from typing import Any

DPI = 110


def figure(width: float, height: float, **options: Any):
    """Returns an empty figure, without a window. Width and height are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(width, height), dpi=DPI, layout="constrained", **options)
    FigureCanvasAgg(sheet)
    return sheet
