"""Draws the icons of the page: a 3, written with the page's pen.

python scripts/page_icons.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent.parent / "hwr_jax" / "web" / "page" / "icons"
SIZES = {"favicon": 48, "icon-192": 192, "icon-512": 512}
GROUND, INK = (47, 79, 168), (255, 254, 251)
FINE = 4  # drawn larger, for soft edges
# A cubic Bezier curve each, in shares of the side: all of it lies in the circle that a mask leaves.
STROKES = [
    ((0.33, 0.33), (0.38, 0.22), (0.66, 0.22), (0.65, 0.37), (0.64, 0.48), (0.52, 0.49), (0.46, 0.49)),
    ((0.46, 0.49), (0.58, 0.48), (0.69, 0.53), (0.68, 0.64), (0.67, 0.80), (0.40, 0.80), (0.32, 0.68)),
]


def icon(side: int) -> Image.Image:
    """The icon, `side` pixels wide."""
    large = side * FINE
    picture = Image.new("RGB", (large, large), GROUND)
    pen = ImageDraw.Draw(picture)
    radius = 0.042 * large
    for stroke in STROKES:
        for start in (0, 3):
            for step in range(401):
                x, y = _on_curve(stroke[start : start + 4], step / 400)
                pen.ellipse([v * large + d * radius for d in (-1, 1) for v in (x, y)], fill=INK)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def _on_curve(points: tuple, t: float) -> tuple[float, float]:
    shares = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x, y = (sum(share * point[axis] for share, point in zip(shares, points, strict=True)) for axis in (0, 1))
    return x, y


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, side in SIZES.items():
        icon(side).save(FOLDER / f"{name}.png", optimize=True)
