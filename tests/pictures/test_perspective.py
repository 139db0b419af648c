"""Sheets seen from the side: their corners are found, they are straightened, and every place is mapped back."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hwr_jax.pictures import page, perspective, sheet

RECTANGLE = np.array([(0, 0), (300, 0), (300, 200), (0, 200)], float)
QUADS = {
    "turned": [(80, 60), (360, 110), (330, 290), (50, 240)],
    "in perspective": [(90, 70), (330, 60), (370, 250), (50, 280)],
}


def photographed(corners, *, desk=60):
    """A sheet of 300x200 with three bars as a camera sees it with these corners, and the map from it to the picture."""
    paper = Image.new("F", (300, 200), 230.0)
    pen = ImageDraw.Draw(paper)
    for x in (60, 140, 220):
        pen.rectangle((x, 60, x + 11, 119), fill=30.0)
    back = perspective.homography(np.array(corners, float), RECTANGLE)
    picture = paper.transform(
        (440, 340), Image.Transform.PERSPECTIVE, back.ravel()[:8].tolist(), Image.Resampling.BILINEAR, fillcolor=desk
    )
    return np.asarray(picture), np.linalg.inv(back)


def test_a_homography_takes_points_where_it_is_told_and_its_inverse_takes_them_back():
    there = perspective.homography(RECTANGLE, np.array(QUADS["in perspective"], float))
    np.testing.assert_allclose(perspective.moved(there, RECTANGLE), QUADS["in perspective"], atol=1e-9)
    points = np.random.default_rng(0).uniform(0, 200, (20, 2))
    seen = perspective.moved(there, points)
    np.testing.assert_allclose(perspective.moved(np.linalg.inv(there), seen), points, atol=1e-8)


@pytest.mark.parametrize("name", QUADS)
def test_the_corners_of_a_region_with_four_sides_are_found_to_a_pixel(name):
    picture = Image.new("1", (440, 340))
    ImageDraw.Draw(picture).polygon(QUADS[name], fill=1)
    assert np.abs(perspective.corners_of(np.asarray(picture)) - QUADS[name]).max() < 1.5


@pytest.mark.parametrize("shape", ["ellipse", "triangle", "line", "cut off by the picture"])
def test_other_regions_have_no_four_corners(shape):
    picture = Image.new("1", (440, 340))
    pen = ImageDraw.Draw(picture)
    if shape == "ellipse":
        pen.ellipse((60, 60, 380, 280), fill=1)
    elif shape == "triangle":
        pen.polygon([(60, 60), (380, 70), (200, 300)], fill=1)
    elif shape == "line":
        pen.line((60, 60, 380, 60), fill=1)
    else:
        pen.polygon([(-20, 60), (380, 70), (380, 300), (-20, 280)], fill=1)
    assert perspective.corners_of(np.asarray(picture)) is None


@pytest.mark.parametrize("name", QUADS)
def test_a_sheet_on_a_desk_is_straightened_and_its_marks_are_mapped_to_the_picture(name):
    grey, there = photographed(QUADS[name])
    ink = page.find_marks(grey)
    assert ink.sheet.is_straightened
    bars = sorted((mark for mark in ink.marks if mark.bottom - mark.top > 40), key=lambda mark: mark.left)
    assert len(bars) == 3
    heights = [bar.bottom - bar.top for bar in bars]
    assert max(heights) - min(heights) <= (3 if name == "turned" else 8)  # of the rectangle the proportions are a guess
    assert max(bar.top for bar in bars) - min(bar.top for bar in bars) <= 4
    assert all(bar.right - bar.left < 20 for bar in bars)  # upright: at a slant of 10 degrees it would be 22
    for bar, left in zip(bars, (60, 140, 220), strict=True):
        seen = perspective.moved(there, np.array([(left, 60), (left + 12, 60), (left + 12, 120), (left, 120)]))
        [(x, y, width, height)] = ink.boxes_in_picture(np.array([[bar.top, bar.left, bar.bottom, bar.right]]))
        np.testing.assert_allclose((x, y), seen.min(0), atol=5)
        np.testing.assert_allclose((x + width, y + height), seen.max(0), atol=5)


@pytest.mark.parametrize(
    "corners",
    [
        [(60, 60), (360, 60), (360, 260), (60, 260)],
        [(60, 60), (360, 63), (360, 263), (60, 260)],
        [(200, 20), (410, 170), (260, 320), (50, 170)],
    ],
    ids=["straight", "hardly turned", "on its corner"],
)
def test_a_sheet_that_is_hardly_turned_or_turned_too_far_stays_as_it_is(corners):
    found = sheet.cut(photographed(corners)[0], page.PAGE_PX)
    assert not found.is_straightened
    np.testing.assert_allclose(found.to_picture[:2, 2], found.box[1::-1], atol=1e-9)


def test_a_narrow_strip_with_one_line_is_found():
    grey = np.full((150, 900), 60, np.float32)
    grey[25:125, 40:860] = 230
    for left in range(80, 820, 40):
        grey[65:85, left : left + 5] = 30
    found = sheet.cut(grey, page.PAGE_PX)
    assert np.abs(np.array(found.box) - (25, 40, 125, 860)).max() < 20
