"""The sheet that every figure is drawn on. Owns its resolution; matplotlib is imported when it is needed."""

from __future__ import annotations

from typing import Any

DPI = 110


def figure(width: float, height: float, **options: Any):
    """Returns an empty figure of a size in inches, without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(width, height), dpi=DPI, layout="constrained", **options)
    FigureCanvasAgg(sheet)
    return sheet
