"""From a picture file to grey values. Owns which files are accepted, and the message of every refusal.

Trusts no byte: a file is refused with `DataError`, or decoded whole, upright and on white paper. Does not resize;
`ink.py` looks for the ink.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import effort
from hwr_jax.pictures.quiet import quiet

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")  # not EPS: Pillow would run Ghostscript
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # 8 bits or fewer; others clip or guess
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")  # 16 bits
MAX_BYTES = 64 * 2**20  # a 50 Mpx photograph as JPEG has 10 to 30 MiB
MAX_PIXELS = 64_000_000  # telephones take 12 to 50 Mpx; 64 Mpx with transparency take 256 MB while they are decoded
MAX_COUNTED = 100  # pictures of a TIFF: each further one costs a look at all before it
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")  # kinds of HEIF, which telephones take photographs as
SEVERAL = ("MPO", "HEIF")  # photographs that may hold further pictures: the first or main one is read
STRIP_PX = 1_000_000  # converted at a time, so that a large picture is held once and not in five stages
MIN_SIDE_PX = 4  # the smallest known digits are 8x8, a tightly cropped 1 of them is 2 to 4 pixels wide
MAX_ASPECT_RATIO = 40  # a line of text or a tightly cropped 1 stays below 30

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0")  # Pillow reads the last two, too

PictureFile = str | os.PathLike | bytes | bytearray | BinaryIO


def read_picture(source: PictureFile, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture of unknown origin: `read_grey` in float32.

    Args:
        source: path, the file's bytes, or a binary file object (read from where it stands).
        max_bytes: largest accepted file.
        max_pixels: largest accepted width times height.

    Returns:
        float32 [h, w] in 0..255, 0 = black, 255 = white.

    Raises:
        DataError: not an accepted picture; the message names the file, the reason and what is accepted.
        OSError: the path cannot be opened or read.
    """
    return read_grey(source, max_bytes=max_bytes, max_pixels=max_pixels).astype(np.float32, copy=False)


def read_grey(source: PictureFile, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture of unknown origin.

    The size is checked before the pixels are decoded. EXIF orientation is applied. Transparent parts become white
    paper, or black where the drawing itself is white. 16 bits are scaled, not clipped. Colour becomes luma (ITU-R 601).
    Of a stereo or burst photograph (MPO, HEIC) the first picture counts; animations and multi-page files are refused
    (`documents.pages` reads the latter). HEIC needs pi-heif. Pillow and libtiff print nothing. A named pipe is read if
    a program writes to it.

    Returns:
        uint8 [h, w], 0 = black, 255 = white; of a picture with 16 bits float32 in the same range.

    Args and errors: as of `read_picture`.
    """
    name, content = content_of(source, max_bytes)
    return grey_of(content, name, max_pixels)


def grey_of(content: bytes, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns the grey values [h, w] of a file's bytes, called `name` in messages. Raises DataError: as `read_grey`."""
    with refusing(content, name), opened(content, name) as image:
        pictures = count(image)
        if pictures > 1 and image.format not in SEVERAL:
            many = str(pictures) if pictures <= MAX_COUNTED else f"more than {MAX_COUNTED}"
            raise DataError(f"{name}: the file holds {many} pictures (animation or pages); exactly one is accepted")
        return decoded(image, name, max_pixels)


@contextlib.contextmanager
def refusing(content: bytes, name: str) -> Iterator[None]:
    """A context that turns what Pillow raises on a file into DataError, and silences it and libtiff."""
    try:
        with quiet(stderr=content[:4] in TIFF_STARTS):
            yield
    except DataError:
        raise
    except Exception as error:  # Pillow raises almost any class on hostile bytes: SyntaxError, struct.error, KeyError
        raise DataError(f"{name}: {_reason(error)}") from error


def content_of(source: PictureFile, max_bytes: int = MAX_BYTES) -> tuple[str, bytes]:
    """Returns the name for messages, and the bytes. Raises DataError: none, or more than `max_bytes`; OSError."""
    name, content = _content(source, max_bytes)
    if not content:
        raise DataError(f"{name}: the file is empty; expected a picture ({', '.join(FORMATS)})")
    if len(content) > max_bytes:
        raise DataError(f"{name}: the file is larger than the {max_bytes:,} bytes allowed")
    return name, content


def _content(source: PictureFile, max_bytes: int) -> tuple[str, bytes]:
    """The name for messages and at most `max_bytes` + 1 bytes."""
    if isinstance(source, bytes | bytearray):
        return name_of(source), bytes(source)
    if isinstance(source, str | os.PathLike):
        with open(source, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            first = _from_pipe(file.fileno(), name_of(source))
            return name_of(source), first + file.read(max_bytes + 1 - len(first))
    return name_of(source), source.read(max_bytes + 1)


def _from_pipe(descriptor: int, name: str) -> bytes:
    """The first byte of a named pipe, if it is there already. Refuses one that nobody writes to: it would never end."""
    first = b""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with contextlib.suppress(BlockingIOError):  # a program has it open, and has not written yet
            first = os.read(descriptor, 1)
            if not first:
                raise DataError(f"{name}: a named pipe that no program writes to; expected a picture")
    os.set_blocking(descriptor, True)
    return first


def name_of(source: PictureFile) -> str:
    """What messages call the picture: its path, or "the given bytes" or "the given file"."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return (
        "the given bytes" if isinstance(source, bytes | bytearray) else str(getattr(source, "name", "the given file"))
    )


def _reason(error: Exception) -> str:
    """One sentence for what Pillow raised."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"not a picture that can be read; accepted are {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"the picture has more than the {MAX_PIXELS:,} pixels allowed"
    details = " ".join(str(error).split()) or "no details"
    return f"the picture is damaged or incomplete ({type(error).__name__}: {details})"


def is_heic(start: bytes) -> bool:
    """Whether a file that begins with these bytes (32 are enough) is a HEIC photograph."""
    brand = start[8:12]
    return start[4:8] == b"ftyp" and (brand in HEIC or (brand in (b"mif1", b"msf1") and b"heic" in start[16:32]))


def reads_heic() -> bool:
    """Whether pi-heif is installed."""
    return importlib.util.find_spec("pi_heif") is not None


def opened(content: bytes, name: str) -> PillowImage:
    """Opens a file of an accepted format: its size is known, and no pixel decoded. Raises DataError, or what Pillow
    raises."""
    from PIL import Image

    effort.check(content, name)
    if not is_heic(content[:32]):
        return Image.open(io.BytesIO(content), formats=FORMATS)
    if not reads_heic():
        how = "install it (python -m pip install pi-heif), or save the photograph as JPEG"
        raise DataError(f"{name}: a HEIC photograph, and pi-heif, which reads it, is not installed: {how}")
    import pi_heif

    pi_heif.register_heif_opener()
    return Image.open(io.BytesIO(content), formats=("HEIF",))


def decoded(image: PillowImage, name: str, max_pixels: int) -> np.ndarray:
    """The picture at which a file stands: uint8 or float32 [h, w] in 0..255. Raises DataError, or as Pillow."""
    _check_size(*image.size, name, max_pixels)
    deep = image.mode in DEEP_MODES or (image.mode == "I" and image.format == "PPM")
    if not deep and image.mode not in MODES:
        accepted = ", ".join(MODES + DEEP_MODES)
        raise DataError(f"{name}: pixels of mode {image.mode} have no defined white; accepted are {accepted}")
    image.load()
    upright = _upright(image)
    _check_size(*upright.size, name, max_pixels)
    if deep:
        return np.clip(np.asarray(upright, np.float32) / 257, 0, 255)
    return _on_paper(upright)


def count(image: PillowImage) -> int:
    """How many pictures the file holds; of a TIFF at most one more than `MAX_COUNTED`, as `n_frames` takes quadratic
    time there."""
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1)
    frames = 1
    try:
        while frames <= MAX_COUNTED:
            image.seek(frames)
            frames += 1
    except EOFError:
        pass
    image.seek(0)
    return frames


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise DataError(f"{name}: {width}x{height} pixels are more than the {max_pixels:,} pixels allowed")
    if min(width, height) < MIN_SIDE_PX:
        raise DataError(f"{name}: {width}x{height} pixels; each side must have at least {MIN_SIDE_PX}")
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise DataError(f"{name}: {width}x{height} pixels; the sides' ratio must be at most {MAX_ASPECT_RATIO}")


def as_grey(values: np.ndarray) -> np.ndarray:
    """Checks grey values as `read_grey` checks a file: [h, w] in 0..255 -> uint8 (as it is) or float32 [h, w].

    Raises:
        DataError: another shape, a size that is not accepted, or a value outside of 0..255.
    """
    values = np.asarray(values)
    if values.ndim != 2:
        raise DataError(f"the grey values: an array of shape {list(values.shape)}; expected [height, width]")
    _check_size(values.shape[1], values.shape[0], "the grey values", MAX_PIXELS)
    if not (values.min() >= 0 and values.max() <= 255):  # also true of NaN
        raise DataError(f"the grey values: {values.min()} to {values.max()}; expected 0 (black) to 255 (white)")
    return values if values.dtype == np.uint8 else values.astype(np.float32, copy=False)


def _upright(image: PillowImage) -> PillowImage:
    """Apply the EXIF orientation in place. A broken EXIF block must not make a picture unusable that decodes."""
    from PIL import ImageOps

    if not image.info and not hasattr(image, "tag_v2"):  # nothing that could hold an orientation
        return image
    with contextlib.suppress(Exception):  # the parser raises SyntaxError, struct.error, KeyError and more
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _on_paper(image: PillowImage) -> np.ndarray:
    """Put an 8-bit picture on white, or on black when it is invisible on white. -> uint8 [h, w]."""
    if not image.has_transparency_data:
        return _in_strips(image, lambda strip: strip if strip.mode in ("1", "L") else strip.convert("RGB"))
    sheet = _in_strips(image, lambda strip: _composed(strip, "white"))
    return sheet if sheet.min() != sheet.max() else _in_strips(image, lambda strip: _composed(strip, "black"))


def _composed(drawing: PillowImage, paper: str) -> PillowImage:
    from PIL import Image

    drawing = drawing.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", drawing.size, paper), drawing)


def _in_strips(image: PillowImage, colour: Callable[[PillowImage], PillowImage]) -> np.ndarray:
    """The luma of `colour` of a picture, a strip of `STRIP_PX` at a time. -> uint8 [h, w]."""
    width, height = image.size
    rows = max(1, STRIP_PX // width)
    grey = np.empty((height, width), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = image if rows >= height else image.crop((0, top, width, bottom))
        part = colour(strip)
        grey[top:bottom] = np.asarray(part if part.mode == "L" else part.convert("L"))
    return grey
