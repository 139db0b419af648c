"""Digits drawn stroke by stroke, in the ways of writing them that MNIST has few of.

Such as a barred 7, a 1 with a long flag or a foot, an open 4, a 9 with a straight leg, a flat 3, a slashed 0. Each
style is a few strokes through points in a unit square, drawn with one pen after every point was moved at random.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Dataset
from hwr_jax.data import extra
from hwr_jax.pictures.normalise import to_mnist

VERSION = "1"  # of the drawings below
DIGITS = "0123456789"
HEIGHT = 64  # pixels of a digit, before it is fitted into MNIST's box
MARGIN = 24  # pixels around it
PEN = (1.5, 11.0)  # pixels of that height: a fine liner to a marker
PEN_MEDIAN = 4.5
JITTER = 0.025  # standard deviation of each point, in heights
SLANT = (-0.25, 0.55)  # of the upright: right is positive
TURN_DEG = 8.0
ASPECT = (0.4, 0.95)  # width by height

Point: TypeAlias = tuple[float, float]  # x to the right, y downwards, both 0..1
Stroke: TypeAlias = list[Point]
Style: TypeAlias = Callable[[Callable[[float, float], float]], list[Stroke]]  # (uniform draw between two) -> strokes


def add(dataset: Dataset, count: int, *, seed: int, log: Callable[[str], object] = print) -> Dataset:
    """Adds drawn digits to the training set, as many of each class; validation and test stay as they are.

    Args:
        dataset: of images uint8 [N, 28, 28, 1], with the classes 0 to 9.
        count: of the images.
        seed: of all draws.
        log: called with a sentence.

    Returns:
        the data set with the digest of all of its content.

    Raises:
        ConfigError: streamed images, or other classes.
    """
    extra.check(dataset, "drawn", count)
    if not set(DIGITS) <= set(dataset.classes):
        raise ConfigError(f"config.data.drawn={count} draws the digits 0 to 9, and {dataset.name} lacks some: use 0")
    log(f"Drawing {count:,} digits")
    image, digit = draw(count, seed=seed)
    label = np.array([dataset.classes.index(name) for name in DIGITS], np.int32)[digit]
    return extra.append(dataset, image, label, made_by=f"drawn {VERSION}")


def draw(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws digits, the classes in turn and then shuffled.

    Returns:
        uint8 [count, 28, 28], 0 = paper, 255 = ink, as `to_mnist` makes them; and the digits int32 [count].
    """
    rng = np.random.default_rng([seed, 0x44524157])
    digit = rng.permutation(np.arange(count, dtype=np.int32) % 10)
    images = np.zeros((count, 28, 28), np.uint8)
    for i, one in enumerate(digit):
        styles = STYLES[one]
        images[i] = to_mnist(_ink(rng, styles[rng.integers(len(styles))]))
    return images, digit


def _ink(rng: np.random.Generator, style: Style) -> np.ndarray:
    """A digit in this style, float32 [H, W] in 0..1."""
    from PIL import Image, ImageDraw, ImageFilter

    width = float(np.clip(np.exp(rng.normal(np.log(PEN_MEDIAN), 0.45)), *PEN))
    slant, turn = rng.uniform(*SLANT), np.deg2rad(rng.uniform(-TURN_DEG, TURN_DEG))
    aspect = rng.uniform(*ASPECT)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, -slant], [0, 1]]) @ np.diag([aspect, 1.0])
    side = HEIGHT + 2 * MARGIN
    picture = Image.new("L", (side, side))
    pen = ImageDraw.Draw(picture)
    for stroke in style(lambda low, high: float(rng.uniform(low, high))):
        corners = np.array(stroke)
        moved = rng.normal(0, JITTER, corners.shape)
        again = np.flatnonzero((corners[1:] == corners[:-1]).all(1)) + 1
        moved[again] = moved[again - 1]
        points = corners + moved
        path = side / 2 + HEIGHT * (_smooth(points) - 0.5) @ matrix.T
        pen.line([tuple(p) for p in path.tolist()], 255, max(1, round(width)), joint="curve")
        half = width / 2
        for x, y in path[[0, -1]]:  # a round tip
            pen.ellipse((x - half, y - half, x + half, y + half), 255)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)), np.float32) / 255


def _smooth(points: np.ndarray) -> np.ndarray:
    """The curve through points [n, 2] (Catmull & Rom 1974), 8 steps between two; a point twice in a row is a corner."""
    twice = np.flatnonzero((points[1:] == points[:-1]).all(1))
    return np.concatenate([_curve(part) for part in np.split(points, twice + 1)])


def _curve(points: np.ndarray) -> np.ndarray:
    if len(points) < 3:
        return points
    ends = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*pieces, points[-1:]])


def _loop(x: float, y: float, wide: float, high: float, start_deg: float, turn_deg: float) -> Stroke:
    """Part of an ellipse about x, y: from `start_deg` (0 = right, 90 = down) on by `turn_deg`."""
    angles = np.deg2rad(np.linspace(start_deg, start_deg + turn_deg, max(4, round(abs(turn_deg) / 30))))
    return [(x + wide * float(np.cos(a)), y + high * float(np.sin(a))) for a in angles]


# The styles of each digit. `u` draws a number between two.


def _zero(u) -> list[Stroke]:
    return [_loop(0.5, 0.5, u(0.35, 0.5), 0.5, u(-110, -60), u(-385, -335))]


def _zero_slashed(u) -> list[Stroke]:
    return [*_zero(u), [(u(0.65, 0.95), u(0.02, 0.2)), (u(0.05, 0.35), u(0.8, 0.98))]]


def _one(u) -> list[Stroke]:
    x = u(0.4, 0.6)
    return [[(x, 0.0), (x + u(-0.04, 0.04), 0.5), (x, 1.0)]]


def _one_flag(u) -> list[Stroke]:
    length = u(0.12, 0.6)
    return [[(0.6 - u(0.7, 1.3) * length, u(0.7, 1.1) * length), (0.6, 0.0), (0.6, 0.0), (0.6, 1.0)]]


def _one_foot(u) -> list[Stroke]:
    return [*_one_flag(u), [(u(0.1, 0.35), 1.0), (u(0.85, 1.1), 1.0)]]


def _two(u) -> list[Stroke]:
    foot = u(0.95, 1.0)
    return [
        [(0.1, u(0.2, 0.35)), (0.3, 0.03), (0.7, 0.03), (0.85, 0.25), (0.6, 0.6), (0.08, 0.97), (0.08, 0.97)]
        + [(0.5, u(0.92, 1.0)), (u(0.85, 1.05), foot)]
    ]


def _two_looped(u) -> list[Stroke]:
    return [
        [(0.1, u(0.15, 0.3)), (0.4, 0.0), (0.8, 0.2), (0.5, 0.65), (0.15, 0.95), (0.02, 0.85), (0.2, u(0.74, 0.82))]
        + [(0.5, 0.92), (u(0.85, 1.05), u(0.85, 1.0))]
    ]


def _two_angular(u) -> list[Stroke]:
    return [
        [(0.1, u(0.0, 0.1)), (0.8, 0.03), (0.85, 0.08), (0.8, u(0.15, 0.3)), (0.08, 0.97), (0.08, 0.97)]
        + [(u(0.8, 1.0), u(0.95, 1.0))]
    ]


def _three(u) -> list[Stroke]:
    y, x = u(0.42, 0.5), u(0.35, 0.5)
    return [
        [(0.1, u(0.08, 0.2)), (0.45, 0.0), (0.8, 0.2), (0.65, y - 0.05), (x, y), (x, y), (0.75, y + 0.1)]
        + [(0.88, 0.72), (0.5, 1.0), (0.05, u(0.8, 0.92))]
    ]


def _three_flat(u) -> list[Stroke]:
    y = u(0.36, 0.46)
    return [
        [(0.08, u(0.0, 0.06)), (0.82, 0.0), (0.82, 0.0), (u(0.35, 0.5), y), (u(0.35, 0.5), y), (0.8, y + 0.12)]
        + [(0.88, 0.75), (0.5, 1.0), (0.05, u(0.82, 0.94))]
    ]


def _four_open(u) -> list[Stroke]:
    y = u(0.5, 0.68)
    return [
        [(u(0.1, 0.35), u(0.0, 0.12)), (0.08, y), (0.08, y), (u(0.85, 1.1), y + u(-0.06, 0.03))],
        [(u(0.65, 0.8), u(0.0, 0.3)), (u(0.6, 0.75), 1.0)],
    ]


def _four_closed(u) -> list[Stroke]:
    y, x = u(0.58, 0.74), u(0.6, 0.75)
    return [
        [(x, 0.0), (0.03, y), (0.03, y), (u(0.85, 1.1), y + u(-0.04, 0.04))],
        [(x, u(0.0, 0.1)), (x + u(-0.05, 0.05), 1.0)],
    ]


def _four_looped(u) -> list[Stroke]:
    y = u(0.55, 0.68)
    return [
        [(u(0.15, 0.3), 0.05), (0.08, y - 0.06), (0.25, y), (0.75, y - 0.08), (0.85, u(0.05, 0.25)), (0.8, 0.4)]
        + [(0.74, 1.0)]
    ]


def _five(u) -> list[Stroke]:
    y = u(0.38, 0.48)
    return [
        [(0.22, 0.03), (0.16, y), (0.16, y), (0.5, y - 0.06), (0.85, u(0.58, 0.7)), (0.6, 0.97), (0.05, u(0.85, 1.0))],
        [(0.22, u(0.0, 0.06)), (u(0.75, 1.05), u(-0.04, 0.08))],
    ]


def _five_joined(u) -> list[Stroke]:
    y = u(0.36, 0.46)
    return [
        [(u(0.75, 0.95), u(0.0, 0.05)), (0.25, 0.03), (0.25, 0.03), (0.16, y), (0.16, y + 0.02), (0.55, y - 0.02)]
        + [(0.85, u(0.6, 0.7)), (0.6, 0.97), (0.05, u(0.85, 1.0))]
    ]


def _six(u) -> list[Stroke]:
    y, high = u(0.66, 0.74), u(0.24, 0.33)
    return [[(u(0.55, 0.85), 0.0), (0.25, 0.3), (0.1, y), *_loop(0.48, y, 0.38, high, 180, -u(330, 400))]]


def _six_straight(u) -> list[Stroke]:
    y = u(0.68, 0.78)
    return [[(u(0.35, 0.6), 0.0), (0.16, 0.55), (0.1, y), *_loop(0.45, y, 0.35, 1 - y, 150, -u(320, 380))]]


def _seven(u) -> list[Stroke]:
    y = u(-0.04, 0.06)
    return [[(0.08, y), (0.88, 0.0), (0.88, 0.0), (u(0.5, 0.7), 0.45), (u(0.3, 0.5), 1.0)]]


def _seven_barred(u) -> list[Stroke]:
    y, long = u(0.42, 0.58), u(0.18, 0.36)
    x = u(0.52, 0.66)
    return [*_seven(u), [(x - long, y + u(-0.03, 0.08)), (x + long, y + u(-0.08, 0.03))]]


def _seven_hooked(u) -> list[Stroke]:
    drop = u(0.08, 0.25)
    hooked = [[(0.08, drop), (0.1, 0.0), (0.1, 0.0), (0.88, 0.02), (0.88, 0.02), (u(0.45, 0.7), 0.5), (u(0.3, 0.5), 1)]]
    if u(0, 1) < 0.5:
        y, long = u(0.45, 0.58), u(0.15, 0.3)
        hooked.append([(0.58 - long, y), (0.58 + long, y - u(-0.03, 0.06))])
    return hooked


def _eight(u) -> list[Stroke]:
    y = u(0.42, 0.5)
    start = (u(0.65, 0.85), u(0.08, 0.2))
    return [
        [start, (0.5, 0.0), (0.18, 0.2), (0.5, y), (0.86, 0.74), (0.5, 1.0), (0.12, 0.75), (0.5, y), (0.8, 0.22)]
        + [(u(0.6, 0.8), u(0.03, 0.15))]
    ]


def _eight_circles(u) -> list[Stroke]:
    y = u(0.4, 0.5)
    return [
        _loop(0.5, y / 2, u(0.25, 0.36), y / 2, u(0, 360), u(345, 380)),
        _loop(0.5, (1 + y) / 2, u(0.32, 0.45), (1 - y) / 2, u(0, 360), u(345, 380)),
    ]


def _nine(u) -> list[Stroke]:
    y = u(0.24, 0.32)
    return [
        [*_loop(0.45, y, 0.36, y, u(-40, 0), -u(300, 345)), (0.84, u(0.05, 0.2)), (0.78, 0.55), (u(0.55, 0.8), 1.0)]
    ]


def _nine_curved(u) -> list[Stroke]:
    y = u(0.24, 0.32)
    return [
        [*_loop(0.48, y, 0.38, y, u(-30, 0), -u(310, 345)), (0.87, y), (0.85, 0.7), (0.55, 1.0), (0.08, u(0.82, 0.95))]
    ]


def _nine_straight(u) -> list[Stroke]:
    y = u(0.22, 0.32)
    return [_loop(0.45, y, 0.36, y, u(-30, 30), -u(340, 370)), [(0.82, u(0.0, 0.2)), (u(0.76, 0.84), 1.0)]]


STYLES: tuple[tuple[Style, ...], ...] = (
    (_zero, _zero, _zero, _zero_slashed),
    (_one, _one_flag, _one_flag, _one_flag, _one_foot),
    (_two, _two_looped, _two_angular),
    (_three, _three_flat),
    (_four_open, _four_closed, _four_looped),
    (_five, _five_joined),
    (_six, _six_straight),
    (_seven, _seven_barred, _seven_barred, _seven_hooked),
    (_eight, _eight_circles),
    (_nine, _nine_curved, _nine_straight),
)
