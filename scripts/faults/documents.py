"""R16: TIFF and PDF files that are damaged, endless, huge, or refer to themselves."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

TAGS = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262, "strips": 273, "samples": 277}
TAGS |= {"rows": 278, "counts": 279, "predictor": 317, "tile_width": 322, "format": 339}


def tiffs() -> Iterator[tuple[str, bytes]]:
    """Yields names and files."""
    small = {"width": [64], "height": [64], "bits": [8], "compression": [1], "photometric": [1], "samples": [1]}
    small |= {"strips": [8], "rows": [64], "counts": [4096]}
    cases: dict[str, dict[str, Sequence[int]]] = {
        "plain": {},
        "huge": {"width": [50_000], "height": [50_000]},
        "wide": {"width": [2**32 - 1]},
        "no-width": {"width": [0]},
        "many-strips": {"rows": [1], "strips": [8] * 500_000, "counts": [1] * 500_000},
        "strips-without-counts": {"strips": [8] * 1000},
        "strips-beyond-the-end": {"strips": [2**31]},
        "strip-of-4-GB": {"counts": [2**32 - 1]},
        "many-samples": {"samples": [60_000]},
        "bits-of-samples": {"bits": [8] * 5000, "samples": [5000]},
        "tiles-of-none": {"tile_width": [0]},
        "predictor": {"predictor": [3], "compression": [5]},
        "white-is-zero": {"photometric": [0]},
    }
    cases |= {f"bits-{bits}": {"bits": [bits]} for bits in (0, 1, 2, 4, 12, 16, 24, 32, 64, 65_535)}
    cases |= {f"compression-{kind}": {"compression": [kind]} for kind in (2, 3, 4, 5, 6, 7, 8, 32_773, 34_676, 50_001)}
    cases |= {f"format-{kind}": {"format": [kind], "bits": [32]} for kind in (2, 3, 4, 6, 99)}
    for name, changes in cases.items():
        yield f"tiff-{name}.tif", _tiff(small | changes)
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 64), (257, 64), (273, 8)))
    yield "tiff-of-itself.tif", b"II*\0\x08\0\0\0\x03\0" + directory + struct.pack("<I", 8)
    many = b"".join(
        b"\x03\0" + directory + struct.pack("<I", 8 + (len(directory) + 6) * (n + 1)) for n in range(20_000)
    )
    yield "tiff-of-20000-directories.tif", b"II*\0\x08\0\0\0" + many
    yield "tiff-big.tif", b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + b"\xff" * 500
    yield "tiff-big-of-itself.tif", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 0) + struct.pack("<Q", 16)
    pages = [Image.new("L", (48, 32), 40 + k) for k in range(130)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    yield "tiff-of-130-pages.tif", file.getvalue()
    for dtype in (np.float32, np.int32):
        file = io.BytesIO()
        Image.fromarray(np.full((64, 64), np.nan if dtype is np.float32 else -1, dtype)).save(file, "TIFF")
        yield f"tiff-of-{dtype.__name__}.tif", file.getvalue()


def _tiff(tags: dict[str, Sequence[int]]) -> bytes:
    """A TIFF of 64x64 zeros, whose directory says `tags`."""
    pixels, entries, further = bytes(4096), b"", b""
    behind = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    for name in sorted(tags, key=lambda name: TAGS[name]):
        values = struct.pack(f"<{len(tags[name])}I", *tags[name])
        entries += struct.pack("<HHI", TAGS[name], 4, len(tags[name]))
        entries += values if len(values) == 4 else struct.pack("<I", behind + len(further))
        further += values if len(values) > 4 else b""
    start = struct.pack("<I", 8 + len(pixels))
    return b"II*\0" + start + pixels + struct.pack("<H", len(tags)) + entries + bytes(4) + further


def pdfs() -> Iterator[tuple[str, bytes]]:
    """Yields names and files."""
    one = [b"3 0 R"]
    text = _stream(b"", b"2 0 0 2 20 20 cm 0 0 8 60 re f")
    yield "pdf.pdf", pdf(one, [_page(), text])
    for size in ("0 0 0 0", "0 0 1000000 1000000", "0 0 1e30 1e30", "0 0 -200 -100", "0 0 1 20000", "a b", "0 0 2 2"):
        yield f"pdf-of-{size}.pdf", pdf(one, [_page(size), text])
    yield "pdf-of-no-pages.pdf", pdf([], [])
    yield "pdf-of-2000-pages.pdf", pdf(one * 2000, [_page("0 0 40 40"), text], count=2000)
    yield "pdf-claims-pages.pdf", pdf(one, [_page(), text], count=2**31 - 1)
    yield "pdf-of-itself.pdf", pdf([b"2 0 R"], [_page(), text])
    yield "pdf-page-missing.pdf", pdf([b"3 0 R", b"99 0 R"], [_page(), text], count=2)
    yield "pdf-encrypted.pdf", pdf(one, [_page(), text, _ENCRYPTED], trailer=b"/Encrypt 5 0 R/ID[<00><00>]")
    yield "pdf-without-its-end.pdf", pdf(one, [_page(), text])[:-60]
    yield "pdf-after-mail.pdf", b"From: someone\n" * 40 + pdf(one, [_page(), text])
    loop = _stream(_FORM % 4, b"/X Do")
    yield "pdf-form-of-itself.pdf", pdf(one, [_page(resources=b"/XObject<</X 4 0 R>>"), loop])
    yield "pdf-of-laughs.pdf", _laughs(depth=9, each=10)
    yield "pdf-of-laughs-and-others.pdf", _laughs(depth=9, each=10, others=2)
    yield "pdf-of-many-paths.pdf", pdf(one, [_page(), _stream(b"", b"0 0 9 9 re f " * 100_000)])
    picture = (
        b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode"
    )
    for side in (300, 30_000, 2_000_000):
        body = _stream(picture % (side, side), zlib.compress(bytes(min(side * side, 20_000_000))))
        drawn = _stream(b"", b"200 0 0 200 0 0 cm /X Do")
        yield f"pdf-picture-{side}.pdf", pdf(one, [_page(resources=b"/XObject<</X 5 0 R>>"), drawn, body])
    bomb = zlib.compress(zlib.compress(bytes(200_000_000), 9), 9)
    yield "pdf-bomb.pdf", pdf(one, [_page(), _stream(b"/Filter[/FlateDecode/FlateDecode]", bomb)])
    yield "pdf-nested.pdf", pdf(one, [_page(), _stream(b"", b"[" * 200_000)])
    yield "pdf-saves.pdf", pdf(one, [_page(), _stream(b"", b"q " * 500_000)])


_FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 200 200]/Resources<</XObject<</X %d 0 R>>>>"
_ENCRYPTED = b"<</Filter/Standard/V 1/R 2/O(" + b"o" * 32 + b")/U(" + b"u" * 32 + b")/P -4>>"


def _laughs(depth: int, each: int, others: int = 0) -> bytes:
    """Forms that draw forms, `each` at every level: as many as `each` to the power of `depth`. `others` good pages."""
    forms = [_stream(_FORM % (6 + n), b"/X Do " * each) for n in range(depth)]
    first = [
        _page(resources=b"/XObject<</X 5 0 R>>"),
        _stream(b"", b"/X Do"),
        *forms,
        _stream(_FORM % 4, b"0 0 9 9 re f"),
    ]
    good = 3 + len(first)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents %d 0 R>>" % (good + 1)
    text = _stream(b"", b"20 20 8 60 re f")
    return pdf([b"3 0 R", *[b"%d 0 R" % good] * others], [*first, page, text], count=1 + others)


def _page(size: str = "0 0 200 200", resources: bytes = b"") -> bytes:
    box = size.encode()
    return b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<<%s>>>>" % (box, resources)


def _stream(entries: bytes, content: bytes) -> bytes:
    return b"<<" + entries + b"/Length %d>>\nstream\n" % len(content) + content + b"\nendstream"


def pdf(kids: list[bytes], objects: list[bytes], count: int = 1, trailer: bytes = b"") -> bytes:
    """A PDF whose objects 3 and on are `objects`, and whose pages are `kids`."""
    pages = b"<</Type/Pages/Kids[" + b" ".join(kids) + b"]/Count %d>>" % (count if kids else 0)
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate([b"<</Type/Catalog/Pages 2 0 R>>", pages, *objects], 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(offsets) + 1
    end = b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, len(out))
    return bytes(out) + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end
