"""What a user names as pictures: files, folders, CSV files; and grey values, read as a file of them would be."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hwr_jax.core.errors import DataError
from hwr_jax.data.formats import png
from hwr_jax.pictures import inputs, normalise


def bar(side=40, *, dark=False):
    """A picture of a standing bar, uint8 [side, side]: dark ink on light paper unless `dark`."""
    grey = np.full((side, side), 235, np.uint8)
    grey[side // 5 : -side // 5, side // 2 - 2 : side // 2 + 2] = 30
    return 255 - grey if dark else grey


def outcome(function, *arguments):
    """What a function returns, or the end of the sentence with which it refuses."""
    try:
        return function(*arguments).tolist()
    except DataError as error:
        return str(error).removeprefix("the given bytes: ")


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(4, 40), st.integers(4, 40))))
def test_grey_values_give_the_bits_that_a_png_file_of_them_gives(grey):
    file = png.encode(grey[..., None])
    assert outcome(normalise.digit_from_grey, grey) == outcome(normalise.digit_from_picture, file)
    assert outcome(normalise.line_from_grey, grey, 32, 96) == outcome(normalise.line_from_picture, file, 32, 96)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("side", [8, 28, 60, 700])
def test_a_drawing_gives_the_bits_that_a_png_file_of_it_gives(side, dark):
    grey = bar(side, dark=dark)
    file = png.encode(grey[..., None])
    digit = normalise.digit_from_grey(grey)
    assert digit.max() == 255
    np.testing.assert_array_equal(digit, normalise.digit_from_picture(file))
    np.testing.assert_array_equal(normalise.line_from_grey(grey, 32, 128), normalise.line_from_picture(file, 32, 128))


@pytest.mark.parametrize("number", range(0, 500, 25))
def test_a_real_digit_gives_the_bits_that_a_png_file_of_it_gives(digits, number):
    grey = 255 - np.asarray(digits.test.image[number, ..., 0])
    file = png.encode(grey[..., None])
    np.testing.assert_array_equal(normalise.digit_from_grey(grey), normalise.digit_from_picture(file))
    np.testing.assert_array_equal(inputs.to_line(grey, 32, 64), normalise.line_from_picture(file, 32, 64))


@pytest.mark.parametrize(
    ("grey", "words"),
    [
        (np.zeros((28, 28, 1)), r"an array of shape \[28, 28, 1\]; expected \[height, width\]"),
        (np.zeros((0, 28)), "28x0 pixels; each side must have at least 4"),
        (np.zeros((3, 28)), "28x3 pixels; each side must have at least 4"),
        (np.zeros((4, 200)), "200x4 pixels; the sides' ratio must be at most 40"),
        (np.full((28, 28), 256.0), "256.0 to 256.0; expected 0"),
        (np.full((28, 28), -1), "-1 to -1; expected 0"),
        (np.full((28, 28), np.nan), "nan to nan; expected 0"),
        (np.full((28, 28), 255), "no ink in the picture"),
    ],
)
def test_grey_values_that_are_not_a_picture_are_one_sentence(grey, words):
    for function, more in ((normalise.digit_from_grey, ()), (normalise.line_from_grey, (32, 128))):
        with pytest.raises(DataError, match=words):
            function(grey, *more)


def test_model_input_stays_as_it_is_and_other_pictures_do_not():
    ready = np.zeros((28, 28), np.uint8)
    ready[5:20, 3:6] = 200
    assert inputs.to_input(ready, None).image is ready
    np.testing.assert_array_equal(inputs.to_input(255 - ready, None).image, normalise.digit_from_grey(255 - ready))


@pytest.fixture
def named(tmp_path):
    """A file, a folder with two, a CSV file of two, and two that cannot be read."""
    Image.fromarray(bar()).save(tmp_path / "one.png")
    (tmp_path / "many" / "deep").mkdir(parents=True)
    Image.fromarray(bar(50)).save(tmp_path / "many" / "b.png")
    Image.fromarray(bar(60)).save(tmp_path / "many" / "deep" / "a.png")
    (tmp_path / "many" / ".hidden.png").write_bytes(b"")
    with (tmp_path / "grey.csv").open("w", newline="") as file:
        csv.writer(file).writerows([bar(20).ravel().tolist(), np.full(400, 255).tolist(), bar(30).ravel().tolist()])
    (tmp_path / "bad.png").write_text("not a picture")
    return [str(tmp_path / name) for name in ("one.png", "many", "none.png", "grey.csv", "bad.png")]


@pytest.mark.parametrize("lines", [False, True])
def test_everything_that_was_named_is_read_in_order_and_what_cannot_be_is_reported(named, tmp_path, lines):
    read = inputs.read(named, height_px=28, width_px=28 * (1 + lines), lines=lines)
    assert read.names == [
        f"{tmp_path}/one.png", f"{tmp_path}/many/b.png", f"{tmp_path}/many/deep/a.png", f"{tmp_path}/grey.csv, line 1",
        f"{tmp_path}/grey.csv, line 3",
    ]  # fmt: skip
    assert read.images.shape == (5, 28, 28 * (1 + lines), 1)
    assert read.images.dtype == np.uint8
    np.testing.assert_array_equal(
        read.images[3, ..., 0], inputs.to_line(bar(20), 28, 56) if lines else normalise.digit_from_grey(bar(20))
    )
    assert [problem.partition(": ")[0] for problem in read.unread] == [
        f"{tmp_path}/none.png", f"{tmp_path}/grey.csv, line 2", f"{tmp_path}/bad.png",
    ]  # fmt: skip
    assert read.unread[0].endswith("No such file or directory")


def test_nothing_readable_is_an_empty_array_and_an_empty_folder_is_an_error(tmp_path):
    assert inputs.read([str(tmp_path / "none.png")], height_px=32, width_px=64, lines=True).images.shape == (
        0,
        32,
        64,
        1,
    )
    with pytest.raises(DataError, match="holds no picture"):
        inputs.read([str(tmp_path)], height_px=28, width_px=28, lines=False)
