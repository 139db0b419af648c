"""How many characters and lines the marks of a picture form: more than the model reads must not pass for one.

`marks.py` decides which marks are read; nothing here changes what is read.
"""

from __future__ import annotations

import numpy as np

from hwr_jax.pictures.marks import Mark

MIN_MASS = 0.2  # of the heaviest mark's ink: less is a speck, a bar or a dot
MIN_HEIGHT = 0.5  # of the tallest mark: less is a part of a character
ABOVE = 0.5  # parts whose widths overlap by this share of the narrower one are one above the other
NEAR = 0.2  # and closer than this share of the taller one's height, they are one character: the bar of a 5
WIDE, PITCH, FILLED = 1.7, 0.8, 0.5  # a mark wider than this, in heights, is characters that touch; but not a thick bar
NEXT_LINE = 0.75  # middles further apart than this share of the height of a character lie on different lines


def count_characters(marks: list[Mark]) -> int:
    """Returns the characters in a picture, at least 1. Characters that touch count by the width of their mark."""
    return max(1, sum(_side_by_side(box) for box in _characters(marks)))


def count_lines(marks: list[Mark]) -> int:
    """Returns the lines of writing in a picture, at least 1."""
    boxes = _characters(marks)
    if len(boxes) < 2:
        return 1
    height = float(np.median([box.bottom - box.top for box in boxes]))
    middles = np.sort([(box.top + box.bottom) / 2 for box in boxes])
    return 1 + int((np.diff(middles) > NEXT_LINE * height).sum())


def _characters(marks: list[Mark]) -> list[Mark]:
    """The marks as large as characters; parts above each other are one mark."""
    if len(marks) < 2:
        return list(marks)
    heaviest = max((mark.mass for mark in marks), default=0.0)
    joined: list[Mark] = []
    for mark in sorted((m for m in marks if m.mass >= MIN_MASS * heaviest), key=lambda m: -m.mass):
        for i, other in enumerate(joined):
            if _are_one(mark, other):
                joined[i] = other._replace(
                    mass=other.mass + mark.mass,
                    top=min(mark.top, other.top),
                    left=min(mark.left, other.left),
                    bottom=max(mark.bottom, other.bottom),
                    right=max(mark.right, other.right),
                )
                break
        else:
            joined.append(mark)
    tallest = max((mark.bottom - mark.top for mark in joined), default=0)
    return [mark for mark in joined if mark.bottom - mark.top >= MIN_HEIGHT * tallest]


def _are_one(mark: Mark, other: Mark) -> bool:
    overlap = min(mark.right, other.right) - max(mark.left, other.left)
    gap = max(mark.top, other.top) - min(mark.bottom, other.bottom)
    return overlap >= ABOVE * min(mark.right - mark.left, other.right - other.left) and gap <= NEAR * max(
        mark.bottom - mark.top, other.bottom - other.top
    )


def _side_by_side(mark: Mark) -> int:
    height, width = mark.bottom - mark.top, mark.right - mark.left
    if width < WIDE * height or mark.mass > FILLED * height * width:
        return 1
    return max(2, round(width / height / PITCH))
