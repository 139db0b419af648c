import io
import os
import struct
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import decode, resample
from hwr_jax.pictures.decode import FORMATS, read_picture
from hwr_jax.pictures.quiet import quiet

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


def tiff_of_many_directories(count):
    """A TIFF of `count` directories, each of which names the same 40x40 grey pixels."""
    pixels = b"\xa5" * 1600
    short = [(256, 40), (257, 40), (258, 8), (259, 1), (262, 1), (277, 1), (278, 40)]
    fields = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in short)
    fields += struct.pack("<HHII", 273, 4, 1, 8) + struct.pack("<HHII", 279, 4, 1, len(pixels))
    body = struct.pack("<H", 9) + b"".join(sorted(fields[i : i + 12] for i in range(0, 108, 12)))
    out, at = b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels, 8 + len(pixels)
    for number in range(count):
        at += len(body) + 4
        out += body + struct.pack("<I", at if number < count - 1 else 0)
    return out


@pytest.mark.parametrize(("count", "words"), [(2, "2"), (100, "100"), (101, "more than 100"), (2_000, "more than 100")])
def test_the_pictures_of_a_tiff_are_counted_to_a_hundred(count, words, monkeypatch):
    from PIL import TiffImagePlugin

    asked = []
    seek = TiffImagePlugin.TiffImageFile.seek
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "seek", lambda s, frame: (asked.append(frame), seek(s, frame)))
    monkeypatch.setattr(
        TiffImagePlugin.TiffImageFile, "n_frames", property(lambda s: s._n_frames or pytest.fail("quadratic"))
    )
    with pytest.raises(DataError, match=rf"the file holds {words} pictures \(animation or pages\)"):
        read_picture(tiff_of_many_directories(count))
    assert len(asked) <= 101


def test_a_tiff_of_one_directory_is_read():
    assert read_picture(tiff_of_many_directories(1)).shape == (40, 40)


def test_a_named_pipe_is_read_if_a_program_writes_to_it_and_never_waited_for(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"pipe\.png: a named pipe that no program writes to"):
        read_picture(pipe)
    for wait_s in (0, 0.2):  # the program at the other end has written, or has not yet
        program = os.open(pipe, os.O_RDWR)

        def write(wait_s=wait_s, program=program):
            time.sleep(wait_s)
            os.write(program, SEEDS["PNG"])
            time.sleep(0.1)
            os.close(program)

        writer = threading.Thread(target=write)
        writer.start()
        np.testing.assert_array_equal(read_picture(pipe), gradient())
        writer.join()


def test_other_programs_lines_do_not_reach_standard_error(capfd):
    """libtiff writes to the file descriptor; Pillow warns of broken EXIF, truncated files and large pictures."""
    damaged = bytearray(encode(Image.fromarray(gradient()).convert("1"), "TIFF", compression="group4"))
    damaged[8:20] = b"\xff\x00\x13" * 4
    big = png_header(12_000, 9_000)
    for content in (bytes(damaged), big, SEEDS["TIFF"][:-40]):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                read_picture(content)
            except DataError as error:
                assert str(error).count("\n") == 0
        assert not heard
    read_picture(encode(Image.fromarray(gradient()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff"))
    with pytest.raises(DataError, match="12000x9000 pixels are more than the 64,000,000 pixels allowed"):
        read_picture(big)
    assert capfd.readouterr() == ("", "")


def test_silence_ends_with_the_last_thread(capfd):
    before = list(warnings.filters)
    inside, leave = threading.Barrier(3), threading.Barrier(3)

    def hold():
        with quiet(stderr=True):
            inside.wait(5)
            os.write(2, b"hidden")
            leave.wait(5)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(5)
    leave.wait(5)
    for thread in threads:
        thread.join()
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"
    assert warnings.filters == before


def test_a_large_picture_with_transparency_is_held_once(tmp_path):
    """16 Mpx decode to 64 MB; converting and averaging them whole took 340 MB."""
    Image.new("RGBA", (4000, 4000), (255, 255, 255, 255)).save(tmp_path / "large.png", compress_level=1)
    program = """
import resource, sys
import numpy, PIL.Image, scipy.ndimage
from hwr_jax.core.errors import DataError
from hwr_jax.pictures.normalise import digit_from_picture
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
try:
    digit_from_picture(sys.argv[1])
except DataError as error:
    print(error)
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "large.png")], capture_output=True, text=True, check=True
    )
    assert "no ink" in done.stdout
    assert int(done.stdout.split()[-1]) < 150


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA"])
def test_strips_give_what_the_whole_gives(mode, monkeypatch):
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (700, 90, 4), np.uint8))
    file = encode(picture.convert(mode))
    whole = read_picture(file), resample.shrink(read_picture(file), 100)
    monkeypatch.setattr(decode, "STRIP_PX", 5_000)
    monkeypatch.setattr(resample, "STRIP_PX", 5_000)
    np.testing.assert_array_equal(read_picture(file), whole[0])
    np.testing.assert_allclose(resample.shrink(decode.read_grey(file), 100), whole[1], rtol=1e-6)
