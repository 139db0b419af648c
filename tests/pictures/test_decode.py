import io
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hwr_jax.core.errors import DataError
from hwr_jax.pictures.decode import FORMATS, read_picture

ACCEPTED = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(height=24, width=32):
    """uint8 [height, width]: dark on the left, light on the right, with a mark in the upper left corner."""
    values = np.tile(np.linspace(40, 220, width), (height, 1)).astype(np.uint8)
    values[:4, :4] = 0
    return values


SEEDS = {kind: encode(Image.fromarray(gradient()), kind) for kind in ACCEPTED}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_every_accepted_format_gives_the_same_grey(kind):
    grey = read_picture(SEEDS[kind])
    assert grey.dtype == np.float32
    assert grey.shape == (24, 32)
    np.testing.assert_allclose(grey[8:], gradient()[8:], atol=6)


def test_the_documented_formats_are_the_ones_tested():
    assert FORMATS == ACCEPTED


def test_path_bytes_and_file_give_the_same(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(SEEDS["PNG"])
    for source in (path, str(path), bytearray(SEEDS["PNG"]), io.BytesIO(SEEDS["PNG"])):
        np.testing.assert_array_equal(read_picture(source), gradient())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_8_bit_mode_keeps_black_dark_and_white_light(mode):
    image = Image.fromarray(np.repeat([[0, 255]], 16, axis=0).repeat(8, axis=1).astype(np.uint8))
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    image = image.convert("RGB").convert(mode) if mode != "LA" else image.convert("LA")
    grey = read_picture(encode(image, kind))
    assert grey[:, 2].max() < 10
    assert grey[:, 13].min() > 245


def test_colour_becomes_luma():
    grey = read_picture(encode(Image.new("RGB", (8, 8), (255, 0, 0))))
    np.testing.assert_allclose(grey, 76, atol=1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_not_clipped(kind):
    deep = np.tile(np.array([0, 300, 40000, 65535], np.uint16), (8, 2))
    grey = read_picture(encode(Image.fromarray(deep), kind))
    np.testing.assert_allclose(grey, deep / 257, atol=1)


def test_transparent_is_white_paper():
    drawing = np.zeros((16, 16, 4), np.uint8)
    drawing[4:12, 7:9, 3] = 255
    grey = read_picture(encode(Image.fromarray(drawing)))
    assert grey[0, 0] == 255
    assert grey[6, 7] == 0


def test_white_ink_on_transparent_stays_visible():
    drawing = np.full((16, 16, 4), 255, np.uint8)
    drawing[..., 3] = 0
    drawing[4:12, 7:9, 3] = 255
    grey = read_picture(encode(Image.fromarray(drawing)))
    assert grey[0, 0] == 0
    assert grey[6, 7] == 255


def test_a_transparent_palette_entry_is_white_paper():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 0, 0, 0, 0, 0] + [0] * 762)
    image.paste(1, (7, 4, 9, 12))
    grey = read_picture(encode(image, transparency=0))
    assert grey[0, 0] == 255
    assert grey[6, 7] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    """The stored pixels are turned so that the tag turns them back."""
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse, as Image.Transpose
    image = Image.fromarray(gradient())
    stored = image if turns[orientation] is None else image.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read_picture(encode(stored, exif=exif)), gradient())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_broken_exif_does_not_refuse_a_good_picture():
    grey = read_picture(encode(Image.fromarray(gradient()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff"))
    assert grey.shape == (24, 32)


def png_header(width, height):
    """A PNG that claims a size and holds no pixels."""
    import zlib

    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


HOSTILE = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello, this is no picture", "not a picture that can be read; accepted are PNG"),
    "html": (b"<!doctype html><html></html>", "not a picture"),
    "pdf": (b"%PDF-1.7\n1 0 obj", "not a picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "truncated PNG": (encode(Image.effect_noise((64, 64), 50))[:600], "damaged or incomplete"),
    "truncated JPEG": (SEEDS["JPEG"][:-60], "damaged or incomplete"),
    "8000 squared": (png_header(8001, 8000), "8001x8000 pixels are more than the 64,000,000 pixels allowed"),
    "60000 squared": (png_header(60000, 60000), "more than the 64,000,000 pixels allowed"),
    "1x1": (encode(Image.new("L", (1, 1))), "1x1 pixels; each side must have at least 4"),
    "1x20000": (encode(Image.new("L", (1, 20000))), "each side must have at least 4"),
    "5x400": (encode(Image.new("L", (5, 400))), "the sides' ratio must be at most 40"),
    "float": (encode(Image.new("F", (9, 9), 0.5), "TIFF"), "mode F have no defined white"),
    "int32": (encode(Image.new("I", (9, 9), 70000), "TIFF"), "mode I have no defined white"),
    "lab": (encode(Image.new("LAB", (9, 9)), "TIFF"), "mode LAB have no defined white"),
    "ico": (encode(Image.new("RGB", (32, 32)), "ICO"), "not a picture"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_hostile_file_is_refused_with_one_sentence_that_names_it(tmp_path, name):
    content, sentence = HOSTILE[name]
    path = tmp_path / "sent by someone"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence) as refused:
        read_picture(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_refused(kind):
    frames = [Image.fromarray(gradient() // k) for k in (1, 2, 3)]
    with pytest.raises(DataError, match="the file holds 3 pictures"):
        read_picture(encode(frames[0], kind, save_all=True, append_images=frames[1:]))


def test_of_a_telephones_multi_picture_jpeg_the_first_counts():
    second = Image.fromarray(gradient() // 3)
    grey = read_picture(encode(Image.fromarray(gradient()), "MPO", save_all=True, append_images=[second]))
    np.testing.assert_allclose(grey[8:], gradient()[8:], atol=6)


def test_limits_are_arguments():
    with pytest.raises(DataError, match="larger than the 50 bytes allowed"):
        read_picture(SEEDS["PNG"], max_bytes=50)
    with pytest.raises(DataError, match="32x24 pixels are more than the 700 pixels allowed"):
        read_picture(SEEDS["PNG"], max_pixels=700)


def test_a_missing_file_stays_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        read_picture(tmp_path / "nothing.png")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(ACCEPTED),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.floats(0, 1),
    whole=st.booleans(),
)
@pytest.mark.filterwarnings("ignore")
def test_mutated_files_are_read_or_refused_and_nothing_else(kind, changes, cut, whole):
    content = bytearray(SEEDS[kind])
    for place, replacement in changes:
        at = int(place * (len(content) - 1))
        content[at : at + len(replacement)] = replacement
    content = content if whole else content[: int(cut * len(content))]
    try:
        grey = read_picture(bytes(content))
    except DataError:
        return
    assert grey.dtype == np.float32
    assert grey.ndim == 2
    assert ((grey >= 0) & (grey <= 255)).all()


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=300),
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"P5\n", b"II*\x00"]),
)
@pytest.mark.filterwarnings("ignore")
def test_random_bytes_are_refused_or_read(content, start):
    try:
        read_picture(start + content)
    except DataError as error:
        assert str(error).startswith("the given bytes: ")
