"""Paper on a desk, crops without a margin, several characters: what is read, and what is reported."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from hwr_jax.pictures import normalise, sheet
from hwr_jax.pictures.decode import read_grey
from hwr_jax.pictures.normalise import digit_from_grey, normalised
from tests.pictures.test_normalise import DIGITS, draw, encode, likeness


def on_desk(picture, *, desk, side=400, turn_deg=0.0, at=(0.5, 0.5), texture=0.0):
    """float32 [side, side]: a picture as a card on a desk of one brightness, with a wave of `texture` as its grain."""
    y, x = np.mgrid[:side, :side]
    card = Image.fromarray(picture.astype(np.float32))
    card = np.asarray(card.rotate(turn_deg, Image.Resampling.BILINEAR, expand=True, fillcolor=-1))
    whole = desk + texture * np.sin(y / 7 + 3 * np.sin(x / 90))
    top, left = (round(a * (side - size)) for a, size in zip(at, card.shape, strict=True))
    place = whole[top : top + card.shape[0], left : left + card.shape[1]]
    inside = ndimage.binary_erosion(card >= 0, iterations=1)
    place[inside] = card[inside]
    return ndimage.gaussian_filter(np.clip(whole, 0, 255), 0.7)


def alike(grey, name):
    return likeness(digit_from_grey(np.rint(grey).astype(np.uint8)), digit_from_grey(draw(name)))


CARDS = {
    "in the middle": {"desk": 30},
    "small, in a corner": {"desk": 30, "height": 150, "width": 130, "at": (0.1, 0.85)},
    "on a grey desk": {"desk": 110},
    "on wood": {"desk": 80, "texture": 15},
    "turned": {"desk": 40, "turn_deg": 5},
    "cut off by the picture": {"desk": 40, "at": (0.5, 1.25)},
    "slate on a light table": {"desk": 220, "paper": 40, "ink": 220},
    "light ink on a card a little darker": {"desk": 170, "paper": 60, "ink": 240},
}


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("case", CARDS)
def test_a_card_on_a_desk_is_read(case, name):
    options = {"height": 240, "width": 220, "paper": 235, "ink": 40, **CARDS[case]}
    desk = {key: options.pop(key) for key in ("desk", "at", "turn_deg", "texture") if key in options}
    if case == "cut off by the picture":
        desk["at"] = (0.5, 1.0)
        grey = np.pad(on_desk(draw(name, **options), **desk), ((0, 0), (0, 0)))[:, :385]
    else:
        grey = on_desk(draw(name, **options), **desk)
    assert alike(grey, name) > (0.75 if case == "turned" else 0.9)


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_that_is_one_sheet_stays_as_it_is(name, dark):
    grey = draw(name)
    grey = 255 - grey if dark else grey
    assert sheet.crop_to_sheet(grey) is grey


def tight(grey):
    """Cuts a picture of dark ink to what is darker than the middle."""
    rows, columns = (np.flatnonzero((grey < 132).any(axis=axis)) for axis in (1, 0))
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("name", [name for name in DIGITS if name != "1"])  # a straight 1, cropped, is a plain area
@pytest.mark.parametrize("pen", [0.1, 0.18, 0.25])
@pytest.mark.parametrize("light", [False, True])
def test_a_crop_without_margin_is_read_in_either_polarity(name, pen, light):
    crop = tight(draw(name, pen=pen))
    if light:
        crop = 255 - crop
    full = digit_from_grey(draw(name, pen=pen))
    assert likeness(digit_from_grey(np.rint(crop).astype(np.uint8)), full) > 0.9


def test_scikit_learns_digits_are_read_when_enlarged_without_margin():
    """15 of 200 were said to hold no ink, and 83 more of those cropped first."""
    from sklearn.datasets import load_digits

    for values in load_digits().images[:200:2] / 16 * 255:
        rows, columns = np.flatnonzero(values.any(axis=1)), np.flatnonzero(values.any(axis=0))
        for part in (values, values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]):
            large = Image.fromarray(part.astype(np.float32)).resize((10 * part.shape[1], 10 * part.shape[0]))
            grey = np.clip(np.asarray(large), 0, 255)
            np.testing.assert_array_equal(digit_from_grey(grey.astype(np.uint8)).shape, (28, 28))


def beside(names, *, gap=0.3):
    """Several drawings in a row, dark on light, `gap` of a drawing's width cut away or added between them."""
    parts = [draw(name, size=0.9) for name in names]
    cut = round((1 - gap) * 8)
    return np.concatenate([part[:, cut:-cut] for part in parts], axis=1)


@pytest.mark.parametrize(
    ("names", "rows"), [("42", 1), ("10", 1), ("77", 1), ("1042", 1), ("42", 2), ("5", 2), ("254", 3)]
)
def test_several_characters_are_counted_and_the_confidence_is_divided(names, rows, tmp_path, caplog):
    grey = np.concatenate([np.pad(beside(names), 20, constant_values=235)] * rows)
    found = normalised(grey)
    count = len(names) * rows
    assert (found.characters, found.trust) == (count, 1 / count)
    lines = f" on {rows} lines" if rows > 1 else ""
    assert found.doubts == (
        f"{count} characters{lines} in the picture, but the model reads one: the confidence is divided by {count}",
    )
    path = tmp_path / "several.png"
    path.write_bytes(encode(grey))
    normalise.digit_from_picture(path)
    assert caplog.messages == [f"{path}: {found.doubts[0]}"]


def test_characters_that_touch_are_counted_by_their_width():
    grey = draw("2", width=300)
    grey[110:120, 60:240] = 30
    found = normalised(np.concatenate([draw("2"), draw("2")], axis=1).astype(np.float32))
    assert found.characters == 2
    joined = np.concatenate([draw("0", size=0.95), draw("0", size=0.95)], axis=1)
    joined[95:105, 100:220] = 30
    assert normalised(joined).characters == 2


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("pen", [0.03, 0.1, 0.2])
def test_one_character_is_one(name, pen):
    assert normalised(draw(name, pen=pen)).doubts == ()


def test_a_detached_bar_and_a_lying_stroke_are_no_second_character():
    broken = draw("5")
    broken[:, 84:90] = np.where(np.mgrid[:200, :160][0][:, 84:90] < 70, 235, broken[:, 84:90])
    assert normalised(broken).doubts == ()
    assert normalised(draw("1").T.copy()).doubts == ()


def test_several_lines_and_a_line_that_is_too_long_are_reported(caplog):
    one = np.pad(beside("4207"), 20, constant_values=235)
    assert normalised(one, line=(32, 128)).doubts == ()
    assert normalised(one, line=(32, 128)).characters == 4
    two = normalised(np.concatenate([one, one]), line=(32, 128))
    assert two.trust == 0.5
    assert two.doubts[0].startswith("2 lines in the picture, but the model reads one")
    long = normalised(np.pad(beside("420742074207"), 20, constant_values=235), line=(32, 128))
    assert long.trust < 0.8
    assert "times as long as the model's image and was narrowed" in long.doubts[0]
    normalise.line_from_picture(encode(np.concatenate([one, one])), 32, 128)
    assert caplog.messages == [f"the given bytes: {two.doubts[0]}"]


@pytest.mark.mnist
def test_real_digits_without_margin_and_on_cards_are_read_as_with_a_margin():
    from tests.pictures.test_normalise import mnist_digits

    for digit in mnist_digits("t10k-images-idx3-ubyte.gz"):
        crop = tight(255.0 - digit).astype(np.float32)
        whole = Image.fromarray(crop).resize((4 * crop.shape[1], 4 * crop.shape[0]))
        for grey in (np.asarray(whole), 255 - np.asarray(whole)):
            assert likeness(digit_from_grey(np.clip(grey, 0, 255)), digit) > 0.75
        card = 235 - 0.8 * np.asarray(Image.fromarray(np.pad(digit, 4)).resize((220, 220)), np.float32)
        assert likeness(digit_from_grey(on_desk(card, desk=35, turn_deg=4)), digit) > 0.75


def test_reading_grey_values_keeps_their_type():
    assert read_grey(encode(draw("4"))).dtype == np.uint8
