"""Composed pages: what is written where, and that each option shows."""

import numpy as np
import pytest

from hwr_jax.data import pages


@pytest.fixture
def write(digits):
    """Returns write(seed, **options): a page of 3, 5 and 1 digits."""
    glyphs, labels = np.asarray(digits.test.image[..., 0]), np.asarray(digits.test.label)

    def compose(seed, lengths=(3, 5, 1), **options):
        rng = np.random.default_rng(seed)
        return pages.compose(rng, glyphs[: sum(lengths)], labels[: sum(lengths)], list(lengths), **options)

    return compose


def test_a_page_says_what_is_written_on_it(write, digits):
    page = write(0)
    assert page.grey.dtype == np.uint8
    assert [len(line) for line in page.lines] == [3, 5, 1]
    assert "".join(page.lines) == "".join(map(str, np.asarray(digits.test.label)[:9]))
    assert len(page.boxes) == 9


def test_paper_may_be_larger_than_what_is_written_on_it(write):
    small, large = write(0), write(0, paper_px=(900, 1200))
    assert large.grey.shape == (1200, 900)
    assert large.boxes == small.boxes
    assert write(0, paper_px=(10, 10)).grey.shape == small.grey.shape


def test_the_same_seed_composes_the_same_page(write):
    assert np.array_equal(write(1).grey, write(1).grey)
    assert not np.array_equal(write(1).grey, write(2).grey)


@pytest.mark.parametrize("options", [{}, {"tilt_deg": 10.0}, {"desk": True, "tilt_deg": 10.0}, {"digit_px": 60.0}])
def test_all_ink_is_in_the_boxes(write, options):
    page = write(3, **options)
    inside = np.zeros(page.grey.shape, bool)
    for x, y, width, height in page.boxes:
        inside[int(y) - 2 : int(y + height) + 3, int(x) - 2 : int(x + width) + 3] = True
        assert page.grey[int(y) : int(y + height) + 1, int(x) : int(x + width) + 1].min() < 130
    margins = np.zeros(page.grey.shape, bool)
    (left, top), (right, bottom) = (
        np.min([b[:2] for b in page.boxes], 0),
        np.max([(x + w, y + h) for x, y, w, h in page.boxes], 0),
    )
    margins[int(top) : int(bottom), int(left) : int(right)] = True
    assert page.grey[margins & ~inside].min() > 150


@pytest.mark.parametrize("paper", ["ruled", "grid"])
def test_lines_are_printed_across_the_paper(write, paper):
    plain, lined = write(4, noise=0.0).grey, write(4, paper=paper, noise=0.0).grey
    rows = np.flatnonzero((lined < 210).mean(1) > 0.9)
    columns = np.flatnonzero((lined < 210).mean(0) > 0.9)
    assert not ((plain < 210).mean(1) > 0.9).any()
    assert rows.size >= 3
    assert (columns.size > 3) == (paper == "grid")


def test_a_shadow_takes_its_share_of_the_light(write):
    bright, dark = write(5, noise=0.0).grey, write(5, noise=0.0, shadow=0.6).grey
    ratio = dark / bright.astype(float)
    assert 0.38 < ratio.min() < 0.6  # 1 - 0.6, in the darkest corner, as far as the shadow reaches
    assert ratio.max() <= 1.02
    assert ratio.max() - ratio.min() > 0.2


def test_around_a_page_on_a_desk_the_desk_is_seen(write):
    grey = write(6, desk=True).grey
    outline = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    assert np.median(outline) < 160
    assert np.median(grey) > 200


@pytest.mark.parametrize(
    ("lengths", "options", "words"),
    [((5, 4), {}, "3 glyphs and 3 labels for 9 digits"), ((3,), {"digit_px": 0.3}, "digit_px=0.3 is too small")],
)
def test_what_cannot_be_written_gives_an_error(digits, lengths, options, words):
    glyphs, labels = np.asarray(digits.test.image[:3, ..., 0]), np.asarray(digits.test.label[:3])
    with pytest.raises(ValueError, match=words):
        pages.compose(np.random.default_rng(0), glyphs, labels, list(lengths), **options)


def test_an_unknown_paper_gives_an_error(write):
    with pytest.raises(ValueError, match="paper='blue' is not known: use one of plain, ruled, grid"):
        write(7, paper="blue")
