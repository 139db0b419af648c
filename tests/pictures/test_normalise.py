import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from hwr_jax.core.errors import DataError
from hwr_jax.pictures.ink import ink_of, is_light_on_dark, otsu
from hwr_jax.pictures.normalise import digit_from_picture, to_mnist, to_mnist_each, widen_thin_strokes

STROKES = {  # on the unit square: lists of points, joined by lines
    "0": [[(0.5 + 0.3 * np.cos(t), 0.5 + 0.45 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 40)]],
    "1": [[(0.5, 0.05), (0.5, 0.95)]],
    "2": [[(0.2, 0.25), (0.4, 0.07), (0.7, 0.1), (0.75, 0.35), (0.2, 0.93), (0.8, 0.93)]],
    "4": [[(0.6, 0.05), (0.15, 0.6), (0.85, 0.6)], [(0.65, 0.35), (0.65, 0.95)]],
    "5": [
        [(0.25, 0.05), (0.25, 0.45), (0.6, 0.45), (0.75, 0.7), (0.5, 0.92), (0.2, 0.88)],
        [(0.25, 0.05), (0.75, 0.05)],
    ],
    "7": [[(0.2, 0.07), (0.8, 0.07), (0.4, 0.95)]],
}
DIGITS = sorted(STROKES)


def draw(name, *, height=200, width=160, size=0.6, pen=0.1, at=(0.5, 0.5), paper=235, ink=30):
    """float32 [height, width]: a digit of `size` and `pen` (shares of the shorter side, of the digit)."""
    fine = 4
    side = size * min(height, width) * fine
    picture = Image.new("L", (width * fine, height * fine), 0)
    brush = ImageDraw.Draw(picture)
    radius = pen * side / 2
    for stroke in STROKES[name]:
        line = [(at[0] * width * fine + (x - 0.5) * side, at[1] * height * fine + (y - 0.5) * side) for x, y in stroke]
        brush.line(line, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in line:
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    amount = np.asarray(picture.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    return paper * (1 - amount) + ink * amount


def encode(grey, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).save(file, kind, **options)
    return file.getvalue()


def likeness(a, b):
    """Correlation of two slightly blurred pictures; a shift by one pixel, which rounding can cause, does not count."""
    a, b = (ndimage.gaussian_filter(x.astype(np.float32), 0.7) for x in (a, b))
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return max(float(np.corrcoef(np.roll(a, shift, axis=(0, 1)).ravel(), b.ravel())[0, 1]) for shift in shifts)


def centre_of_mass(image):
    return np.array(ndimage.center_of_mass(image.astype(np.float64)))


def rows_and_columns(grey):
    return np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]


def assert_reads_as(name, grey, least=0.93, **options):
    got, clean = digit_from_picture(encode(grey, **options)), digit_from_picture(encode(draw(name)))
    assert likeness(got, clean) > least


# to_mnist


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (200, 120), (33, 500), (1, 1), (600, 3)])
def test_the_longer_side_fills_the_box_and_the_aspect_ratio_stays(shape):
    image = to_mnist(np.ones(shape, np.float32))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    height, width = (int((image > 0).any(axis=axis).sum()) for axis in (1, 0))
    scale = 20 / max(shape)
    assert (height, width) == (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("size_px", [28, 32])
def test_the_centre_of_mass_lies_in_the_middle(name, size_px):
    ink = 1 - draw(name, paper=1, ink=0, at=(0.4, 0.6))
    image = to_mnist(ink, size_px=size_px)
    assert np.abs(centre_of_mass(image) - size_px // 2).max() <= 0.6


@pytest.mark.parametrize("ink", [np.zeros((30, 20), np.float32), np.full((9, 9), 0.001, np.float32)])
def test_no_ink_is_refused(ink):
    with pytest.raises(DataError, match=f"no ink in the picture: all of its {ink.shape[1]}x{ink.shape[0]} pixels"):
        to_mnist(ink)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=60), elements=st.floats(0, 1, width=32)
    )
)
def test_any_ink_gives_a_picture_or_a_sentence(ink):
    try:
        image = to_mnist(ink)
    except DataError:
        assert ink.max() < 0.01
        return
    assert image.shape == (28, 28)
    assert image.max() == 255


def test_faint_ink_reaches_full_contrast():
    ink = 1 - draw("2", paper=1, ink=0)
    np.testing.assert_allclose(to_mnist(ink * 0.3).astype(int), to_mnist(ink), atol=1)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(2, 400), elements=st.floats(0, 1, width=32)),
    st.sampled_from([np.float32, np.float64]),
)
def test_the_threshold_is_that_of_a_histogram_of_256_levels(contrast, dtype):
    contrast = contrast.astype(dtype)
    counts, edges = np.histogram(contrast, bins=256, range=(0, 1))
    middle = (edges[:-1] + edges[1:]) / 2
    below, mass_below = np.cumsum(counts), np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass_below[-1] * below / contrast.size - mass_below) ** 2 / (below * (contrast.size - below))
    assert otsu(contrast) == edges[1:][np.argmax(np.nan_to_num(between, posinf=0))]


# the pen


def test_many_digits_are_fitted_as_one_is():
    rng = np.random.default_rng(0)
    inks = [np.float32(rng.random(rng.integers(1, 60, 2)) > 0.4) for _ in range(60)]
    inks += [np.float32(np.ones((h, w))) for h in (1, 20, 21) for w in (1, 7, 20, 40)]  # ties
    inks = [np.pad(ink, k % 3) for k, ink in enumerate(inks) if ink.any()]
    together = to_mnist_each(inks)
    np.testing.assert_array_equal(together, [to_mnist(ink) for ink in inks])


@pytest.mark.parametrize("name", DIGITS)
def test_a_thin_pen_is_widened_to_mnists(name):
    thin = 1 - draw(name, height=400, width=400, pen=0.02, paper=1, ink=0)
    wide = 1 - draw(name, height=400, width=400, pen=0.115, paper=1, ink=0)
    assert likeness(to_mnist(widen_thin_strokes(thin)), to_mnist(wide)) > 0.9


def test_a_normal_pen_is_left_alone():
    ink = 1 - draw("5", pen=0.13, paper=1, ink=0)
    assert widen_thin_strokes(ink) is ink


# picture -> 28x28


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("pen", [0.03, 0.1, 0.18])
def test_polarity_does_not_matter(name, pen):
    grey = np.rint(draw(name, pen=pen, paper=255, ink=0))
    assert not is_light_on_dark(grey)
    assert is_light_on_dark(255 - grey)
    np.testing.assert_array_equal(digit_from_picture(encode(grey)), digit_from_picture(encode(255 - grey)))


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize(("height", "width"), [(40, 32), (100, 80), (500, 400), (1500, 1200)])
def test_scale_does_not_matter(name, height, width):
    assert_reads_as(name, draw(name, height=height, width=width), least=0.95)


@pytest.mark.parametrize("name", DIGITS)
def test_place_and_size_do_not_matter(name):
    assert_reads_as(name, draw(name, height=400, width=600, size=0.3, at=(0.25, 0.7)), least=0.95)


@pytest.mark.parametrize("name", DIGITS)
def test_an_8x8_picture_is_read(name):
    image = digit_from_picture(encode(draw(name, height=8, width=8, size=0.9, pen=0.15)))
    assert np.abs(centre_of_mass(image) - 14).max() <= 0.6


@pytest.mark.parametrize("name", DIGITS)
def test_uneven_light_and_a_shadow_do_not_matter(name):
    grey = draw(name, ink=50)
    y, x = rows_and_columns(grey)
    grey *= 0.6 + 0.4 * x / grey.shape[1]
    grey *= np.where(y + 0.5 * x > 0.6 * grey.shape[0], 0.6, 1.0)
    assert_reads_as(name, ndimage.gaussian_filter(grey, 1))


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("slope", [0.0, 0.03])
@pytest.mark.parametrize("brightness", [0.4, 0.75])
def test_ruled_lines_do_not_matter(name, slope, brightness):
    grey = draw(name, height=300, width=300, size=0.5)
    y, x = rows_and_columns(grey)
    line = (y + np.rint(slope * x).astype(int)) % 60 < 2
    assert_reads_as(name, np.where(line, np.minimum(grey, 235 * brightness), grey), least=0.9)


@pytest.mark.parametrize("name", DIGITS)
def test_squared_paper_does_not_matter(name):
    grey = draw(name, height=300, width=300, size=0.5)
    y, x = rows_and_columns(grey)
    assert_reads_as(name, np.where((x % 37 < 2) | (y % 37 < 2), np.minimum(grey, 150), grey), least=0.9)


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("inset", [0, 6])
def test_a_frame_does_not_matter(name, inset):
    grey = draw(name)
    frame = np.ones(grey.shape, bool)
    frame[inset + 3 : -inset - 3, inset + 3 : -inset - 3] = False
    frame[:inset] = frame[grey.shape[0] - inset :] = False
    frame[:, :inset] = frame[:, grey.shape[1] - inset :] = False
    assert_reads_as(name, np.where(frame, 20, grey))


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("side", ["left", "bottom", "all"])
def test_a_dark_table_around_the_sheet_does_not_matter(name, side):
    grey = draw(name)
    if side in ("left", "all"):
        grey[:, :12] = 50
    if side in ("bottom", "all"):
        grey[-15:] = 50
    if side == "all":
        grey[:12] = grey[:, -12:] = 50
    assert_reads_as(name, grey)


@pytest.mark.parametrize("name", DIGITS)
def test_specks_and_noise_do_not_matter(name):
    grey = draw(name, height=300, width=300)
    random = np.random.default_rng(0)
    for y, x in random.integers(0, 296, (25, 2)):
        grey[y : y + 3, x : x + 3] = 60
    assert_reads_as(name, grey + random.normal(0, 8, grey.shape))


@pytest.mark.parametrize("name", DIGITS)
def test_jpeg_artefacts_and_faint_pencil_do_not_matter(name):
    assert_reads_as(name, draw(name, paper=210, ink=150), kind="JPEG", quality=25)


@pytest.mark.parametrize("name", DIGITS)
def test_a_digit_that_touches_the_outline_stays_whole(name):
    assert_reads_as(name, draw(name, height=180, width=180, size=1.05), least=0.9)


def test_the_detached_bar_of_a_5_is_kept():
    grey = draw("5")
    grey[:, 84:90] = np.where(rows_and_columns(grey)[0][:, 84:90] < 70, 235, grey[:, 84:90])
    assert_reads_as("5", grey, least=0.9)


def test_a_photograph_lying_on_its_side_is_turned():
    upright = Image.fromarray(draw("7").astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", exif=exif, quality=95)
    assert likeness(digit_from_picture(file.getvalue()), digit_from_picture(encode(draw("7")))) > 0.95


@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_paper_is_refused_with_its_name(tmp_path, value):
    path = tmp_path / "blank.png"
    path.write_bytes(encode(np.full((60, 50), value)))
    with pytest.raises(DataError, match=r"blank\.png: no ink in the picture: nothing stands out from the paper"):
        digit_from_picture(path)


@settings(max_examples=80, deadline=None)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=70)))
def test_any_grey_picture_gives_a_picture_or_a_sentence(grey):
    try:
        image = to_mnist(widen_thin_strokes(ink_of(grey)))
    except DataError:
        return
    assert image.shape == (28, 28)
    assert image.max() == 255


@pytest.mark.parametrize("count", [3, 40])
def test_a_picture_full_of_specks_takes_no_time(count):
    """Many marks: the work must not grow with their number squared."""
    grey = np.full((640, 640), 235, np.uint8)
    grey[:: count // 10 + 4, :: count // 10 + 4] = 150
    image = to_mnist(ink_of(grey))
    assert image.shape == (28, 28)


def mnist_digits(name):
    content = gzip.decompress((Path(os.environ["HWR_MNIST_DIR"]) / name).read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)[:30]


@pytest.mark.mnist
@pytest.mark.parametrize("polarity", ["as it is", "inverted"])
@pytest.mark.parametrize("factor", [1, 10])
def test_mnist_comes_through_nearly_unchanged(polarity, factor):
    for digit in mnist_digits("t10k-images-idx3-ubyte.gz"):
        image = Image.fromarray(digit if polarity == "as it is" else 255 - digit)
        got = digit_from_picture(encode(np.asarray(image.resize((28 * factor, 28 * factor), Image.Resampling.BICUBIC))))
        assert likeness(got, digit) > 0.85
        assert np.abs(centre_of_mass(got) - centre_of_mass(digit)).max() < 1.1


def test_a_blurred_thick_marker_is_read():
    file = io.BytesIO()
    picture = Image.fromarray(draw("4", height=120, width=120, pen=0.22, size=0.8).astype(np.uint8))
    picture.filter(ImageFilter.GaussianBlur(3)).convert("RGB").save(file, "WEBP", quality=40)
    assert likeness(digit_from_picture(file.getvalue()), digit_from_picture(encode(draw("4", pen=0.2)))) > 0.95
