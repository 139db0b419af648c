"""The figures of a benchmark: one axis for all panels, and no point above the roof without a word."""

import numpy as np
import pytest

from hwr_jax.benchmarks import figures
from hwr_jax.core import canvas

LIMITS = {"matmul_gflops": 400.0, "copy_gbps": 10.0}


def run(value, *, speed, intensity=1.0, gflops=100.0):
    counted = {"fused_flops_per_byte": intensity, "gflops": gflops}
    return {"value": value, "images_per_second": speed, "quartiles": [0.9 * speed, 1.1 * speed], **counted}


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Returns drawn(parts): name -> the matplotlib figure."""
    kept = {}
    monkeypatch.setattr(canvas, "save", lambda figure, path: kept.update({path.name: figure}))

    def draw(parts):
        figures.speed(tmp_path, parts, title="a config on a machine")
        return kept

    return draw


def test_the_panels_of_the_speed_share_one_axis(drawn):
    scaling = {"batch_size": [run(16, speed=1000), run(512, speed=90_000)], "examples": [run(1000, speed=2000)]}
    first, second = drawn({"scaling": scaling})["scaling.png"].axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] == 0
    assert first.get_ylim()[1] > 99  # thousands
    assert [label.get_text() for label in second.get_xticklabels()] == ["1k"]


@pytest.mark.parametrize(("intensity", "moved"), [(1.0, True), (20.0, False)])
def test_a_point_above_the_roof_is_led_to_it(drawn, intensity, moved):
    parts = {"limits": LIMITS, "training": run(1, speed=1, intensity=intensity, gflops=100.0)}
    axes = drawn(parts)["roofline.png"].axes[0]
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert len(dotted) == moved
    for line in dotted:
        np.testing.assert_allclose(line.get_xdata(), [intensity, 100.0 / LIMITS["copy_gbps"]])
    assert ("the cache keeps" in axes.get_xlabel()) == moved


def test_points_of_an_earlier_benchmark_without_the_count_are_left_out(drawn):
    def uncounted(point):
        return {key: value for key, value in point.items() if key != "fused_flops_per_byte"}

    old = uncounted(run(1, speed=1))
    assert drawn({"limits": LIMITS, "training": old}) == {}
    parts = {"limits": LIMITS, "training": run(1, speed=1), "scaling": {"width": [old, run(2, speed=1, intensity=7.0)]}}
    lines = drawn(parts)["roofline.png"].axes[0].lines
    assert [line.get_xdata().tolist() for line in lines if line.get_label() == "other widths"] == [[7.0]]
