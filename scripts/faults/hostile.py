"""R16: about two hundred files that no picture program should trust, made anew from fixed seeds."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from faults.documents import pdfs, tiffs

HEIC = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "turned.heic"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
SUFFIXES = {"JPEG": "jpg", "TIFF": "tif"}
SIDE = 96  # of the drawn textures, pixels


def digits(size: tuple[int, int] = (64, 44), mode: str = "L") -> Image.Image:
    """A small page with a 1, a 7 and a 0."""
    picture = Image.new("L", (96, 64), 235)
    pen = ImageDraw.Draw(picture)
    pen.line([(16, 14), (16, 50)], fill=30, width=4)
    pen.line([(34, 14), (54, 14), (42, 50)], fill=30, width=4)
    pen.ellipse((66, 14, 86, 50), outline=30, width=4)
    return (picture if size == (96, 64) else picture.resize(size)).convert(mode)


def encode(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def seeds() -> dict[str, bytes]:
    """A small valid file of each format: what is mutated. Quick to read: there are thousands."""
    page = digits()
    found = {kind: encode(page, kind) for kind in FORMATS}
    found["TIFF of pages"] = encode(page, "TIFF", save_all=True, append_images=[page], compression="tiff_lzw")
    found["PDF"] = encode(page, "PDF", save_all=True, append_images=[page], resolution=200)
    found["HEIC"] = HEIC.read_bytes()
    return found


def files() -> Iterator[tuple[str, bytes]]:
    """Yields the name and the bytes of each file. None takes more than a second to make, or 5 MB."""
    for name, content in _broken():
        yield name, content
    for name, content in _bombs():
        yield name, content
    for name, content in _shapes():
        yield name, content
    for name, picture in _textures(SIDE, np.random.default_rng(16)):
        yield f"{name}.png", encode(picture)
    yield from tiffs()
    yield from pdfs()


def nastiest(width: int = 4000, height: int = 3000) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yields the name of each texture, and what draws it as a picture of 12 Mpx: grey values uint8 [h, w]."""
    for name, _ in _textures(8, np.random.default_rng(0)):
        yield (
            name,
            lambda name=name: np.asarray(
                dict(_textures(max(width, height), np.random.default_rng(16), only=name))[name].crop(
                    (0, 0, width, height)
                )
            ),
        )


def _broken() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    yield "empty.png", b""
    yield "byte.png", b"\x89"
    yield "text.png", b"hello, this is no picture\n" * 9
    yield "page.png", b"<!doctype html><html><body>404</body></html>"
    yield "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    yield "drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(100_000))
    yield "archive.png", packed.getvalue()
    yield "random-bytes.png", rng.bytes(5000)
    yield "zeros.jpg", bytes(5000)
    yield "ones.tif", b"\xff" * 5000
    yield "control\n\x1b[31m\x07characters.png", b"no picture"
    yield "digits of a right name\u202egnp.exe", encode(digits())
    yield "icon.ico", encode(digits((32, 32)), "ICO")
    for kind, content in seeds().items():
        suffix = SUFFIXES.get(kind, kind.lower().replace(" ", "-"))
        for share in (0.02, 0.3, 0.7, 0.98):
            yield f"cut-{share}.{suffix}", content[: max(1, int(share * len(content)))]
        yield f"headless.{suffix}", content[16:]
        yield f"doubled.{suffix}", content + content
        yield f"with-a-tail.{suffix}", content + rng.bytes(500)
        yield f"named-{suffix}.txt.gif", content
        hollow = bytearray(content)
        hollow[len(hollow) // 3 : len(hollow) // 2] = bytes(len(hollow) // 2 - len(hollow) // 3)
        yield f"hollow.{suffix}", bytes(hollow)


def _bombs() -> Iterator[tuple[str, bytes]]:
    for width, height in ((50_000, 50_000), (8001, 8000), (2**31 - 1, 2**31 - 1), (0, 0), (0, 9), (200_000, 320)):
        yield f"claims-{width}x{height}.png", _png(width, height, zlib.compress(bytes(1000)))
    yield "zeros-50000.png", _png(50_000, 50_000, zlib.compress(bytes(5_000_000), 9))
    for bits, colour in ((1, 0), (16, 0), (16, 6), (3, 0), (8, 7)):
        yield f"png-of-{bits}-bits-{colour}.png", _png(64, 64, zlib.compress(bytes(9000)), bits, colour)
    text = b"Comment\0\0" + zlib.compress(bytes(20_000_000), 9)
    for kind, body in ((b"zTXt", text), (b"iCCP", text), (b"eXIf", b"II*\0" + b"\xff" * 40), (b"acTL", b"\xff" * 8)):
        yield f"png-with-{kind.decode()}.png", _png(64, 64, zlib.compress(bytes(65 * 64)), extra=_chunk(kind, body))
    comments = _chunk(b"tEXt", b"a\0" + b"b" * 99) * 9999
    yield "png-of-many-chunks.png", _png(64, 64, zlib.compress(bytes(65 * 64)), extra=comments)
    yield "scans.jpg", _progressive(4000, 3000, scans=5000)
    yield "two-scans.jpg", _progressive(160, 120, scans=2)
    yield "ppm-claims.ppm", b"P5\n50000 50000\n255\n" + bytes(99)
    yield "ppm-negative.ppm", b"P5\n-4 -4\n255\n" + bytes(99)
    yield "ppm-of-large-values.ppm", b"P2\n4 4\n70000\n" + b"99999999999999999999 " * 16
    yield "ppm-endless-header.ppm", b"P5\n#" + b"x" * 500_000
    yield "ppm-plain.ppm", b"P3\n8 8\n255\n" + b"1 2 300 " * 64
    yield "bmp-claims.bmp", _bmp(60_000, 60_000, 24)
    yield "bmp-upside-down.bmp", _bmp(64, -(2**31), 24)
    yield "bmp-of-rle.bmp", _bmp(7000, 7000, 8, compression=1)
    yield "gif-of-lzw.gif", b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6) + _gif_frame()
    yield "gif-small.gif", b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6) + _gif_frame()
    yield "webp-claims.webp", b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f" + b"\xff" * 19
    yield "avif-without-boxes.avif", struct.pack(">I", 24) + b"ftypavif" + bytes(12) + b"\xff" * 100
    yield "heic-without-boxes.heic", struct.pack(">I", 24) + b"ftypheic" + bytes(12) + b"\xff" * 100
    yield "heic-of-boxes.heic", HEIC.read_bytes()[:40] + (struct.pack(">I", 8) + b"free") * 9999


def _shapes() -> Iterator[tuple[str, bytes]]:
    thin = ((1, 20_000), (5, 400), (40, 1600), (4000, 100), (20_000, 500))
    for width, height in ((1, 1), (4, 4), (5, 5), (3, 9), *thin):
        yield f"{width}x{height}.png", encode(digits((width, height)))
        yield f"{width}x{height}-of-one-grey.png", encode(Image.new("L", (width, height), 128))
    for grey in (0, 1, 127, 254, 255):
        yield f"all-{grey}.png", encode(Image.new("L", (64, 64), grey))
    for x, y in ((0, 0), (32, 32), (63, 0)):
        for paper in (0, 255):
            point = Image.new("L", (64, 64), paper)
            point.putpixel((x, y), 255 - paper)
            yield f"pixel-{x}-{y}-on-{paper}.png", encode(point)
    for mode in ("1", "LA", "P", "RGB", "RGBA"):
        yield f"mode-{mode}.png", encode(digits(mode=mode))
        yield f"mode-{mode}-blank.png", encode(Image.new(mode, (64, 64)))
    for mode in ("I", "F", "CMYK", "YCbCr", "LAB", "RGBX", "RGBA", "LA", "PA", "1", "I;16"):
        file = io.BytesIO()
        try:
            Image.new(mode, (64, 64)).save(file, "TIFF")
        except (OSError, KeyError, ValueError):  # Pillow has no such TIFF
            continue
        yield f"mode-{mode}.tif", file.getvalue()
    yield "mode-I16.png", encode(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16))
    yield "mode-CMYK.jpg", encode(digits(mode="CMYK"), "JPEG")
    frames = [digits().point(lambda v, k=k: v // k) for k in (1, 2, 3)]
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        yield f"animation.{kind.lower()}", encode(frames[0], kind, save_all=True, append_images=frames[1:])
    many = [Image.new("L", (64, 64), k % 256) for k in range(600)]
    yield "long-animation.gif", encode(many[0], "GIF", save_all=True, append_images=many[1:])
    yield "stereo.jpg", encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    for orientation in (0, 6, 9, 65_535):
        exif = Image.Exif()
        exif[0x112] = orientation
        yield f"orientation-{orientation}.jpg", encode(digits(), "JPEG", exif=exif)
    for number, exif in enumerate((b"", b"II*\0\xff\xff\xff\xff", b"MM\0*" + b"\x11" * 600, b"x")):
        yield f"exif-{number}.jpg", encode(digits(), "JPEG", exif=b"Exif\0\0" + exif)


def _textures(side: int, rng: np.random.Generator, only: str = "") -> Iterator[tuple[str, Image.Image]]:
    """Square pictures that are all marks: the worst that a page can be."""
    y, x = np.arange(side)[:, None], np.arange(side)[None]
    unit = max(1, side // 1200)  # a page is looked at in 1200 pixels: there these are the sizes below
    u, v, coarse = x // unit, y // unit, 3 * unit
    drawn: dict[str, Callable[[], np.ndarray]] = {
        "noise": lambda: rng.integers(0, 256, (side, side)),
        "coarse-noise": lambda: np.kron(rng.integers(0, 256, (side // coarse + 1,) * 2), np.ones((coarse, coarse))),
        "sparse-noise": lambda: 255 * (rng.random((side, side)) > 0.02),
        "checkerboard-1": lambda: 255 * ((u + v) % 2),
        "checkerboard-4": lambda: 255 * ((u // 4 + v // 4) % 2),
        "dots-2": lambda: 255 * ((u % 4 > 1) | (v % 4 > 1)),
        "dots-8": lambda: 255 * ((u % 16 > 8) | (v % 16 > 8)),
        "dots-20": lambda: 255 * ((u % 26 > 20) | (v % 26 > 20)),
        "bricks": lambda: 255 * ((u % 40 > 30) | (v % 20 > 12)),
        "broad-bricks": lambda: 255 * ((u % 90 > 80) | (v % 26 > 16)),
        "steps": lambda: 255 * ((u % 24 > 14) | ((v + u // 24 * 7) % 30 > 18)),
        "rows": lambda: 255 * (v % 4 > 1) + 0 * u,
        "pale-rows": lambda: 255 - 90 * (v % 6 < 2) - 200 * ((u % 300 < 8) & (v % 60 < 40)),
        "columns": lambda: 255 * (u % 4 > 1) + 0 * v,
        "grid": lambda: 255 - 100 * ((u % 12 < 2) | (v % 12 < 2)),
        "diagonals": lambda: 255 * ((u + v) % 8 > 3),
        "tilted-rows": lambda: 255 * ((20 * v + u) % 200 > 60),
        "circles": lambda: 127 + 127 * np.sin(np.hypot(u - side / unit / 2, v - side / unit / 2) / 1.5),
        "squares": lambda: 255 * (np.maximum(np.abs(u - side // unit // 2), np.abs(v - side // unit // 2)) % 6 > 2),
        "waves": lambda: 127 + 60 * np.sin(u / 7) + 60 * np.sin(v / 9 + u / 31),
        "cloth": lambda: 127 + 60 * ((u // 2 + v // 2) % 2) + rng.normal(0, 25, (side, side)),
        "combs": lambda: 255 * ((v % 40 > 34) | ((v % 40 > 4) & (u % 6 > 1))),
    }
    for name, draw in drawn.items():
        if not only or name == only:
            grey = np.clip(draw(), 0, 255)[:side, :side]
            yield name, Image.fromarray(np.broadcast_to(grey, (side, side)).astype(np.uint8))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, pixels: bytes, bits: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _bmp(width: int, height: int, bits: int, compression: int = 0) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    body = bytes(1024) + b"\xff\x01" * 5000
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 54) + head + body


def _gif_frame() -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\xff" + b"\x04" * 255 + b"\0;"


def _progressive(width: int, height: int, scans: int) -> bytes:
    """A JPEG whose many scans are a few bytes each, and each takes a decoder a pass over the whole picture."""

    def segment(marker: int, body: bytes) -> bytes:
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body

    blocks = -(-width // 8) * -(-height // 8)
    bits = ("0" + "1" * 14) * (blocks // (2**15 - 1) + 1)  # runs of empty blocks
    bits += "1" * (-len(bits) % 8)
    runs = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    tables = b"".join(segment(0xC4, bytes([kind, 1, *[0] * 15, value])) for kind, value in ((0, 0), (0x10, 0xE0)))
    frame = segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    first = segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 1)
    further = segment(0xDA, b"\1\1\0\1\x3f\0") + runs
    return b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + frame + tables + first + further * scans + b"\xff\xd9"
