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
    if "limits" in parts and _counted([parts.get("training", {})]):
        _roofline(folder / "roofline.png", parts, title)


def _counted(points: list[dict]) -> list[dict]:
    """The points whose bytes were counted; a benchmark.json of an earlier version has none."""
    return [point for point in points if point.get("fused_flops_per_byte")]


def _scaling(path: Path, scaling: dict[str, list[dict]], title: str) -> None:
    """A panel for each size, all with the same axis of speed, so that their heights can be compared."""
    with canvas.drawn(path, 7.5, 2.9, title=title) as figure:
        panels = figure.subplots(1, len(scaling), sharey=True, squeeze=False)[0]
        for axes, (name, runs) in zip(panels, scaling.items(), strict=True):
            values = [run["value"] for run in runs]
            middle = np.array([run["images_per_second"] for run in runs]) / 1000
            low, high = np.array([run["quartiles"] for run in runs]).T / 1000
            axes.errorbar(values, middle, [middle - low, high - middle], marker="o", capsize=3)
            axes.set(xscale="log", xlabel=name.replace("_", " "))
            names = [f"{v / 1000:g}k" if v >= 1000 else f"{v:g}" for v in values]
            axes.set_xticks(values, names, minor=False, fontsize=8)
            axes.minorticks_off()
        panels[0].set_ylim(0, None)
        panels[0].set_ylabel("thousand training images / s\n(median, quartiles)")


def _roofline(path: Path, parts: dict[str, Any], title: str) -> None:
    """The roofline of Williams, Waterman & Patterson 2009: what the machine could do at an arithmetic intensity.

    The bytes are those that the compiled program reads and writes, after XLA has fused operations. Many of them never
    leave the cache, so a point may lie to the left of the roof; a line leads to where it lies at least: there it would
    use all of the memory's bandwidth.
    """
    limits = parts["limits"]
    peak, bandwidth = limits["matmul_gflops"], limits["copy_gbps"]
    runs = {"the config": [parts["training"]], "other widths": _counted(parts.get("scaling", {}).get("width", []))}
    runs = {name: points for name, points in runs.items() if points}
    every = [point["fused_flops_per_byte"] for points in runs.values() for point in points]
    intensity = np.geomspace(min(every) / 2, max(*every, 8 * peak / bandwidth), 200)
    with canvas.drawn(path, 6.4, 4.2, title=title) as figure:
        axes, looks = figure.subplots(), canvas.looks(runs)
        axes.plot(intensity, np.minimum(peak, intensity * bandwidth), color=canvas.theme().ink, label="roof (measured)")
        for name, points in runs.items():
            x, y = np.array([(p["fused_flops_per_byte"], p["gflops"]) for p in points]).T
            axes.plot(x, y, **{**looks[name], "linestyle": ""}, markersize=7, label=name)
            for at, speed in zip(x, y, strict=True):
                if (least := speed / bandwidth) > at:
                    axes.plot([at, least], [speed, speed], ":", color=looks[name]["color"])
                    axes.plot(least, speed, ">", color=looks[name]["color"], fillstyle="none")
        axes.annotate(f"{bandwidth:.1f} GB/s\n(copy)", (intensity[40], intensity[40] * bandwidth), (8, -18), **BESIDE)
        axes.annotate(f"{peak:,.0f} GFLOP/s (matrix product)", (intensity[-1], peak), (0, 5), **BESIDE, ha="right")
        axes.set(xscale="log", yscale="log", ylabel="GFLOP / s")
        counted = "FLOP per byte (of the compiled program, after fusion)"
        led = "\ndotted: the bytes that the cache keeps from memory, at least"
        axes.set_xlabel(counted + (led if any(line.get_linestyle() == ":" for line in axes.lines) else ""))
        canvas.plain_ticks(axes)
        canvas.legend(axes, 3, loc="lower right")


BESIDE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8}
