"""The figures of a benchmark, as PNG files: speed over sizes, and the roofline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import canvas


def speed(folder: Path, parts: dict[str, Any], *, title: str) -> None:
    """Draws scaling.png and roofline.png from the parts of a benchmark, as far as they were measured."""
    if "scaling" in parts:
        _scaling(folder / "scaling.png", parts["scaling"], title)
    if "limits" in parts and "training" in parts and parts["training"]["flops_per_byte"]:
        _roofline(folder / "roofline.png", parts, title)


def _scaling(path: Path, scaling: dict[str, list[dict]], title: str) -> None:
    figure = canvas.figure(11, 3.2)
    for axes, (name, runs) in zip(figure.subplots(1, len(scaling)), scaling.items(), strict=True):
        values = [run["value"] for run in runs]
        middle = [run["images_per_second"] for run in runs]
        low, high = zip(*(run["quartiles"] for run in runs), strict=True)
        axes.errorbar(values, middle, [np.subtract(middle, low), np.subtract(high, middle)], marker="o", capsize=3)
        axes.set(xscale="log", xlabel=name.replace("_", " "), ylim=(0, None))
        axes.set_xticks(values, [f"{v:g}" for v in values], minor=False)
        axes.minorticks_off()
    figure.axes[0].set_ylabel("training images / s (median, quartiles)")
    figure.suptitle(title)
    figure.savefig(path)


def _roofline(path: Path, parts: dict[str, Any], title: str) -> None:
    """The roofline of Williams, Waterman & Patterson 2009: what the machine could do at an arithmetic intensity."""
    limits = parts["limits"]
    intensity = np.geomspace(0.1, 1000, 200)
    roof = np.minimum(limits["matmul_gflops"], intensity * limits["copy_gbps"])
    figure = canvas.figure(6, 4)
    axes = figure.subplots()
    axes.plot(intensity, roof, color="black", label="measured copy and matrix product")
    runs = {"the config": [parts["training"]], "other widths": parts.get("scaling", {}).get("width", [])}
    for (name, points), marker in zip(runs.items(), "o^", strict=True):
        axes.plot([p["flops_per_byte"] for p in points], [p["gflops"] for p in points], marker, label=name)
    axes.set(xscale="log", yscale="log", xlabel="FLOP per byte (before fusion: a lower bound)", ylabel="GFLOP / s")
    axes.legend()
    figure.suptitle(title)
    figure.savefig(path)
