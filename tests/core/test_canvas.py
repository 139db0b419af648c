"""The style sheet: colours that the colour-blind tell apart, legends that end, and nothing left in matplotlib."""

import errno
import itertools
import os

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hwr_jax.core import canvas

THEMES = {"light": canvas.LIGHT, "dark": canvas.DARK}
# Machado, Oliveira & Fernandes 2009, severity 1: linear RGB as the colour-blind see it.
SEEN_BY = {
    "everybody": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    """Linear RGB of a colour."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear RGB; a distance of 2 is just visible."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    """The contrast ratio of WCAG 2, 1..21."""
    low, high = sorted(np.array([0.2126, 0.7152, 0.0722]) @ linear(c) + 0.05 for c in (one, other))
    return high / low


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("eye", SEEN_BY)
def test_any_two_colours_of_names_are_told_apart(theme, eye):
    seen = [lab(SEEN_BY[eye] @ linear(colour)) for colour in theme.colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_colours_and_text_stand_out_from_the_paper(theme):
    assert min(contrast(colour, theme.paper) for colour in theme.colours) > 3
    assert contrast(theme.ink, theme.paper) > 7


def test_a_name_keeps_its_look_and_no_two_of_49_have_the_same():
    names = [f"v{i}" for i in range(49)]
    looks = canvas.looks(names)
    assert len({tuple(look.values()) for look in looks.values()}) == 49
    assert canvas.looks(names[:3])["v2"] == looks["v2"]


@pytest.mark.parametrize(("names", "columns"), [(0, 1), (12, 1), (13, 2), (60, 5)])
def test_no_legend_has_more_than_twelve_rows(names, columns):
    assert canvas.columns(names) == columns
    assert names <= 12 * columns


@pytest.mark.parametrize("grey", np.linspace(0, 1, 11))
def test_the_ink_on_a_colour_is_the_more_legible_one(grey):
    colour = (grey, grey, grey)
    other = {"black": "white", "white": "black"}[canvas.ink_on(colour)]
    assert contrast(canvas.ink_on(colour), colour) >= contrast(other, colour)


def test_a_figure_is_saved_in_its_theme_and_leaves_the_users_settings_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    for name, theme in THEMES.items():
        with canvas.themed(theme), canvas.drawn(tmp_path / f"{name}.png", 2, 1, title="$5 each") as figure:
            figure.subplots().plot([1, 2])
        corner = matplotlib.image.imread(tmp_path / f"{name}.png")[0, 0, :3]
        np.testing.assert_allclose(corner, to_rgb(theme.paper), atol=1 / 255)
    assert dict(matplotlib.rcParams) == before
    assert canvas.theme() is canvas.LIGHT


@pytest.mark.parametrize("before", [{}, {"a.png": b"of an earlier call"}], ids=["new", "older"])
def test_a_figure_that_fails_changes_no_file(tmp_path, before):
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RuntimeError, match="no data"), canvas.drawn(tmp_path / "a.png", 2, 1):
        raise RuntimeError("no data")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_disk_that_is_full_leaves_the_older_figure(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"of an earlier call")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), canvas.drawn(tmp_path / "a.png", 2, 1):
        pass
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"of an earlier call"]


@pytest.mark.parametrize("fonts", [["DejaVu Sans"], ["DejaVu Sans", "STIXGeneral"]], ids=["lacking", "added"])
def test_characters_that_the_font_lacks_are_one_line_for_all_figures(tmp_path, capsys, fonts):
    canvas._say_lacking.cache_clear()
    for name in ("a", "b"):
        with (
            matplotlib.rc_context({"font.family": fonts}),  # as a matplotlibrc says
            canvas.drawn(tmp_path / f"{name}.png", 2, 1, title="\U0001d49c\U0001d49e"),  # script letters
        ):
            pass
    said = capsys.readouterr().err
    assert said.count("\n") == (len(fonts) == 1)
    assert said.startswith("hwr_jax: the font of the figures lacks characters" if len(fonts) == 1 else "")


def test_other_warnings_of_matplotlib_stay(tmp_path):
    with (
        pytest.warns(UserWarning, match="constrained_layout not applied"),
        canvas.drawn(tmp_path / "a.png", 0.1, 0.1) as figure,
    ):
        figure.subplots()
    assert (tmp_path / "a.png").stat().st_size > 0


def test_a_long_title_is_wrapped_to_the_width(tmp_path):
    with canvas.drawn(tmp_path / "a.png", 3, 2, title="word " * 20) as figure:
        figure.canvas.draw()
        box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= 3 * canvas.DPI


def test_ticks_are_plain_numbers_and_short_logarithmic_axes_have_some_between(tmp_path):
    with canvas.drawn(tmp_path / "a.png", 4, 3) as figure:
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlim=(0.00001, 1e7), ylim=(0.7, 3))
        canvas.plain_ticks(axes)
        figure.canvas.draw()
        major = {label.get_text() for label in axes.get_xticklabels()}
        minor = {label.get_text() for label in axes.get_yticklabels(minor=True)}
        crowded = {label.get_text() for label in axes.get_xticklabels(minor=True)}
    assert {"0.001", "1,000"} <= major
    assert {"0.8", "2"} <= minor
    assert crowded <= {""}
