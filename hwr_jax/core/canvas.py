"""The canvas and the style sheet of every figure. Imports matplotlib only when a figure is drawn.

One place decides what all figures of the project look like: `drawn` gives a figure in that style and saves it, `looks`
gives each name its colour and mark, `legend` and `plain_ticks` keep legends and ticks readable. What a figure shows is
decided by those who draw it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import io
import math
import re
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hwr_jax.core import files, printable

DPI = 110
MARKS = "os^DvP*"  # as many as colours: 49 names can be told apart
LINES = ("-", "--", ":", "-.")  # for every seven names another
LONGEST = 12  # rows of a legend
LETTERS_PER_INCH = 12.5  # of a title
GLYPH = r"Glyph \d+ .*missing from font"  # a warning of matplotlib's


class Theme(NamedTuple):
    """The colours of a figure."""

    paper: str
    ink: str  # of text and axes
    faint: str  # of what only gives context, such as the other runs
    colours: tuple[str, ...]  # of the names, in this order; apart for colour-blind readers too
    scale: str  # colour map of amounts: nothing has the colour of the paper
    signed: str  # colour map of signed values: orange, the colour of the paper at zero, blue


# After Okabe & Ito 2008, "Color Universal Design". tests/core/test_canvas.py holds the distances for the colour-blind.
LIGHT = Theme(
    paper="#ffffff",
    ink="#1f2328",
    faint="#a9adb3",
    colours=("#0072b2", "#d55e00", "#009e73", "#a6448c", "#3f9bd1", "#8c4a1e", "#3f3f3f"),
    scale="Blues",
    signed="hwr.light_signed",
)
DARK = Theme(
    paper="#1e2129",
    ink="#e4e6eb",
    faint="#6b7280",
    colours=("#56b4e9", "#ff8c42", "#2fc79a", "#e08ac0", "#7d9bff", "#f0c542", "#c8c8c8"),
    scale="hwr.dark",
    signed="hwr.dark_signed",
)
_theme = contextvars.ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """Returns the colours of the figures that are drawn now."""
    return _theme.get()


@contextlib.contextmanager
def themed(chosen: Theme) -> Iterator[None]:
    """Draws the figures inside in other colours."""
    token = _theme.set(chosen)
    try:
        yield
    finally:
        _theme.reset(token)


def style(of: Theme = LIGHT) -> dict[str, Any]:
    """Returns the style sheet, as values of `matplotlib.rcParams`."""
    from cycler import cycler

    return {
        "axes.axisbelow": True,
        "axes.edgecolor": of.ink,
        "axes.facecolor": of.paper,
        "axes.grid": True,
        "axes.labelcolor": of.ink,
        "axes.prop_cycle": cycler(color=of.colours),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 10,
        "figure.constrained_layout.use": True,
        "figure.dpi": DPI,
        "figure.facecolor": of.paper,
        "figure.titlesize": 11,
        "font.size": 9,
        "grid.alpha": 0.3,
        "grid.color": of.faint,
        "image.cmap": "gray_r",
        "legend.fontsize": 8,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 5,
        "savefig.facecolor": of.paper,
        "text.color": of.ink,
        "xtick.color": of.ink,
        "ytick.color": of.ink,
    }


@contextlib.contextmanager
def drawn(path: Path, width: float, height: float, *, title: str = "") -> Iterator[Any]:
    """Yields an empty figure in the project's style, without a window, and saves it as PNG.

    Args:
      path: of the file; an older one is replaced at the end, and kept if the drawing fails.
      width, height: in inches.
      title: above all axes, wrapped; "": none.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    look: Any = {**style(theme()), "text.parse_math": False}  # a name may hold a dollar sign
    with matplotlib.rc_context(look):
        _register_maps()
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle("\n".join(textwrap.wrap(title, round(LETTERS_PER_INCH * width))))
        yield figure
        save(figure, Path(path))


def save(figure: Any, path: Path) -> None:
    """Writes a figure as PNG, atomically. If its font lacks characters, a line on standard error says so, once for all
    figures; matplotlib warns of each character."""
    content = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", GLYPH)
        figure.savefig(content, format="png")
    for warning in caught:
        if re.match(GLYPH, str(warning.message)):
            _say_lacking()
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    files.write_atomic(path, content.getvalue())


@functools.cache
def _say_lacking() -> None:
    print(
        f"{printable.PACKAGE}: the font of the figures lacks characters of some names, which are drawn as boxes: add a "
        "font that has them to a matplotlibrc, such as `font.family: DejaVu Sans, Noto Sans CJK SC`",
        file=sys.stderr,
    )


def _register_maps() -> None:
    """Gives matplotlib the colour maps of the themes, once."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if DARK.scale not in colormaps:
        maps = {DARK.scale: [DARK.paper, DARK.colours[0]]}
        maps |= {of.signed: [of.colours[1], of.paper, of.colours[0]] for of in (LIGHT, DARK)}
        for name, stops in maps.items():
            colormaps.register(LinearSegmentedColormap.from_list(name, stops))


def looks(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Returns the colour, mark and line of each name, as arguments of `Axes.plot`. Give all names of a report in the
    same order, also for a figure that shows some of them: then each looks the same in all its figures."""
    colours, found = theme().colours, {}
    for i, name in enumerate(names):
        turn, place = divmod(i, len(colours))
        mark = MARKS[(place + turn) % len(MARKS)]
        found[name] = {"color": colours[place], "marker": mark, "linestyle": LINES[turn % len(LINES)]}
    return found


def legend(place: Any, names: int, **options: Any) -> None:
    """Adds a legend to a figure or to axes, in as many columns as its rows need to be at most `LONGEST`."""
    place.legend(ncols=columns(names), **options)


def columns(names: int) -> int:
    """Returns the number of columns of a legend of that many names."""
    return max(1, math.ceil(names / LONGEST))


def plain_ticks(*every: Any) -> None:
    """Formats the ticks of axes as plain numbers: 0.02, not 2e-2. A logarithmic axis has more labels where it is short.
    Call it when the scales and limits are set."""
    for axes in every:
        plain_ticks_of(axes.xaxis)
        plain_ticks_of(axes.yaxis)


def plain_ticks_of(axis: Any, *, narrow: bool = False) -> None:
    """Does for one axis what `plain_ticks` does for both. `narrow`: a logarithmic one shows powers of ten only."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:,.10g}"))
    if axis.get_scale() == "log":
        _label_between(axis, narrow)


def _label_between(axis: Any, narrow: bool) -> None:
    """Labels 2 and 5 between the powers of ten; on a short axis every digit, on a long one none."""
    from matplotlib.ticker import FuncFormatter

    low, high = axis.get_view_interval()
    digits = () if narrow or high > 1000 * low else (2, 5) if high > 8 * low else range(2, 10)

    def label(value: float, position: int) -> str:
        leading = round(value / 10 ** math.floor(math.log10(value)), 6)
        return f"{value:,.10g}" if leading in digits else ""

    axis.set_minor_formatter(FuncFormatter(label))


def ink_on(colour: Any) -> str:
    """Returns black or white, whichever is the more legible on a colour (relative luminance, WCAG 2)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.179 else "white"
