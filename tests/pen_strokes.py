"""An image of a digit as the strokes of a pen: thinned to lines of one pixel, which are traced."""

import numpy as np
from PIL import Image

FINE = 4  # thinned on a finer grid: of lines two pixels wide nothing would be left
EVERY = 7  # points of that grid

AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]  # clockwise


def thinned(mask):
    """The lines of one pixel in the middle of a mask, bool [h, w] (Zhang and Suen 1984)."""
    left = np.pad(mask, 1).astype(int)
    while True:
        before = left.sum()
        for first in (True, False):
            ring = np.stack([np.roll(left, (-y, -x), (0, 1)) for y, x in AROUND])
            count = ring.sum(0)
            turns = ((ring == 0) & (np.roll(ring, -1, 0) == 1)).sum(0)
            north, east, south, west = ring[::2]
            sides = (
                (north * east * south, east * south * west) if first else (north * east * west, north * south * west)
            )
            gone = (left == 1) & (count >= 2) & (count <= 6) & (turns == 1) & (sides[0] == 0) & (sides[1] == 0)
            left[gone] = 0
        if left.sum() == before:
            return left[1:-1, 1:-1].astype(bool)


def strokes(image):
    """The strokes of an image uint8 [h, w], 255 = ink: lists of points x, y in pixels. Every step from a pixel of the
    thinned lines to the next is drawn once."""
    height, width = image.shape
    large = np.asarray(Image.fromarray(image).resize((FINE * width, FINE * height), Image.Resampling.BICUBIC))
    pixels = {(int(x), int(y)) for y, x in np.argwhere(thinned(large > 100))}
    steps = {
        one: [other for other in _around(one) if other in pixels and _is_step(one, other, pixels)] for one in pixels
    }
    found = []
    while any(steps.values()):
        at = min((p for p in steps if steps[p]), key=lambda p: (len(steps[p]) % 2 == 0, len(steps[p]), p))  # an end
        path, way = [at], (0, 0)
        while steps[at]:
            after = max(steps[at], key=lambda p: way[0] * (p[0] - at[0]) + way[1] * (p[1] - at[1]))  # straight on
            steps[at].remove(after)
            steps[after].remove(at)
            way, at = (after[0] - at[0], after[1] - at[1]), after
            path.append(at)
        found.append(path)
    return [[(x / FINE, y / FINE) for x, y in [*path[:-1:EVERY], path[-1]]] for path in found if len(path) > FINE]


def _around(one):
    return [(one[0] + x, one[1] + y) for y, x in AROUND]


def _is_step(one, other, pixels):
    """Whether the way to a neighbour is not the short cut of a corner."""
    return one[0] == other[0] or one[1] == other[1] or not {(one[0], other[1]), (other[0], one[1])} & pixels
