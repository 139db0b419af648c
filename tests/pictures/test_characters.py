"""From marks to characters and lines: what belongs together, what is dropped, and where touching ones are cut."""

import numpy as np
import pytest

from hwr_jax.pictures import characters, normalise, page


def drawn(*boxes, shape=(400, 600), paper=240, pen=30):
    """A page with filled boxes (top, left, bottom, right)."""
    grey = np.full(shape, paper, np.float32)
    for top, left, bottom, right in boxes:
        grey[top:bottom, left:right] = pen
    return page.find_marks(grey)


def boxes_of(ink):
    return [c[:4] for row in characters.lines(characters.characters(ink).characters) for c in row]


DIGITS = [(100, left, 140, left + 12) for left in (100, 160, 220, 280)]
MORE = [(40, left, 80, left + 12) for left in (100, 160, 220, 280)]


def near(found, expected, by=2):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert np.abs(np.array(a) - np.array(b)).max() <= by, (a, b)


def test_each_mark_is_a_character():
    near(boxes_of(drawn(*DIGITS)), DIGITS)


def test_a_part_close_to_a_character_belongs_to_it():
    near(boxes_of(drawn(*DIGITS, (100, 297, 107, 310))), [*DIGITS[:3], (100, 280, 140, 310)])


def test_a_broken_stroke_is_one_character():
    broken = [(100, 220, 118, 232), (121, 220, 140, 232)]
    near(boxes_of(drawn(DIGITS[0], DIGITS[1], *broken, DIGITS[3])), DIGITS)


@pytest.mark.parametrize(
    "other",
    [
        (118, 400, 122, 404),  # a speck
        (116, 330, 120, 350),  # a dash
        (136, 330, 141, 335),  # a decimal point
        (390, 0, 400, 500),  # an edge along the outline
        (340, 0, 400, 100),  # the corner of something
        (180, 20, 390, 590),  # a blot
    ],
    ids=["speck", "dash", "point", "edge", "corner", "blot"],
)
def test_what_is_no_character_is_dropped(other):
    near(boxes_of(drawn(*MORE, *DIGITS, other)), [*MORE, *DIGITS])


@pytest.mark.parametrize(
    ("other", "why"), [((340, 0, 400, 100), "at the outline"), ((180, 300, 380, 316), "too large")]
)
def test_what_is_as_large_as_a_character_is_counted_with_the_reason(other, why):
    found = characters.characters(drawn(*MORE, *DIGITS, other))
    assert (len(found.characters), found.dropped) == (8, {why: 1})


def test_writing_that_shines_through_is_dropped():
    ink = drawn(*DIGITS)
    grey = ink.grey.copy()
    grey[300:340, 100:112] = 215
    near(boxes_of(page.find_marks(grey)), DIGITS)


def test_lines_are_read_from_top_to_bottom_and_from_left_to_right_on_a_slope():
    slope = [(100 + left // 20, left, 140 + left // 20, left + 12) for left in range(60, 560, 60)]
    below = [(top + 80, left, bottom + 80, right) for top, left, bottom, right in slope[:4]]
    ink = drawn(*reversed(below), *slope)
    rows = characters.lines(characters.characters(ink).characters)
    assert [len(row) for row in rows] == [len(slope), len(below)]
    near([c[:4] for row in rows for c in row], [*slope, *below])


def test_two_rings_that_touch_are_cut_where_they_touch():
    y, x = np.mgrid[:40, :78]
    rings = [np.abs(np.hypot(y - 20, x - middle) - 18) < 3 for middle in (20, 57)]
    mask = rings[0] | rings[1]
    ways = characters.cuts(mask)
    assert 1 <= len(ways) <= characters.MOST_CUTS
    assert [way.column for way in ways] == sorted(way.column for way in ways)
    assert min(abs(way.column - 38.5) for way in ways) <= 2
    best = min(ways, key=lambda way: abs(way.column - 38.5))
    right = characters.right_of(best, mask.shape)
    assert (mask & right)[:, :34].sum() == 0
    assert (mask & ~right)[:, 44:].sum() == 0


def test_the_image_of_a_character_is_as_the_models_know_it():
    ink = drawn(*DIGITS)
    one = characters.characters(ink).characters[0]
    [image] = characters.images_of(ink, [characters.Drawn(one, characters.mask_of(ink, one))])
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
    rows = np.flatnonzero(image.max(1) > 127)
    assert rows[-1] - rows[0] + 1 == 20


@pytest.mark.parametrize(("characters_px", "most"), [(64, 6), (160, 12), (400, 12)])
def test_the_wider_a_mark_the_more_cuts_it_gets_up_to_a_limit(characters_px, most):
    assert len(characters.cuts(np.ones((40, characters_px), bool))) == most


@pytest.mark.parametrize("pen_px", [2, 6])
def test_the_images_of_many_characters_are_those_of_each(pen_px):
    y, x = np.mgrid[:60, :2000]
    pens = [np.abs(np.hypot((y - 30) / (1 + 0.01 * k), x - 25 - 50 * k) - 18) < pen_px / 2 for k in range(40)]
    dark = np.any(pens, 0) * np.linspace(0.6, 1, 2000, dtype=np.float32)
    found = [characters.Character(0, 50 * k, 60, 50 * k + 50, (k,), 1.0) for k in range(40)]
    masks = [dark[c.top : c.bottom, c.left : c.right] > 0 for c in found]
    ink = page.PageInk(dark, dark, dark, dark.astype(int), [], np.eye(3), None)
    images = characters.images_of(ink, list(map(characters.Drawn, found, masks)))
    assert len(images) == 40
    for image, c in zip(images, found, strict=True):
        widened = normalise.widen_thin_strokes(dark[c.top : c.bottom, c.left : c.right], fine=characters.FINE)
        np.testing.assert_array_equal(image, normalise.to_mnist(widened))


def test_a_page_without_marks_has_no_characters():
    assert characters.lines([]) == []
    assert characters.characters(drawn(*DIGITS)._replace(marks=[])) == ([], {})
