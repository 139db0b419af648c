"""Files of several pages: every page of a TIFF or PDF by itself, a damaged one alone, and photographs as HEIC."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import decode, documents, inputs

HEIC = Path(__file__).parent.parent / "fixtures" / "turned.heic"


def page(number, size=(300, 200)):
    """A page with `number` bars."""
    picture = Image.new("L", size, 240)
    pen = ImageDraw.Draw(picture)
    for i in range(number):
        pen.rectangle((20 + 30 * i, 40, 28 + 30 * i, 160), fill=20)
    return picture


def saved(pages, kind, **options):
    file = io.BytesIO()
    pages[0].save(file, kind, save_all=True, append_images=pages[1:], **options)
    return file.getvalue()


def bars(grey):
    middle = np.asarray(grey)[grey.shape[0] // 2] < 128
    return int((np.diff(np.concatenate([[0], middle.astype(int)])) == 1).sum())


@pytest.mark.parametrize(
    "content",
    [
        saved([page(1), page(2), page(3)], "TIFF", compression="tiff_lzw"),
        saved([page(1), page(2, (200, 300)), page(3)], "TIFF", compression="jpeg"),
        saved([page(1), page(2), page(3)], "PDF", resolution=72),
    ],
    ids=["tiff", "tiff of two sizes", "pdf"],
)
def test_every_page_is_read_in_its_order(content):
    found = list(documents.pages(content))
    assert [(one.number, one.count, bars(one.grey)) for one in found] == [(1, 3, 1), (2, 3, 2), (3, 3, 3)]
    assert all(one.grey.dtype == np.uint8 and one.ms > 0 for one in found)


def test_a_page_of_a_tiff_is_turned_by_itself():
    turned, upright = Image.Exif(), Image.Exif()
    turned[0x112], upright[0x112] = 6, 1
    second, third = page(1), page(3)
    second.encoderinfo, third.encoderinfo = {"exif": upright}, {"exif": turned}
    file = io.BytesIO()
    page(2).save(file, "TIFF", save_all=True, append_images=[second, third], exif=turned)
    found = [one.grey for one in documents.pages(file.getvalue())]
    assert [grey.shape for grey in found] == [(300, 200), (200, 300), (300, 200)]
    assert [bars(found[0].T), bars(found[1]), bars(found[2].T)] == [2, 1, 3]


def test_a_pdf_is_rendered_at_200_dpi_and_coarser_where_it_would_be_too_large():
    one_inch = saved([page(1, (144, 72))], "PDF", resolution=72)  # 2 x 1 inches
    assert next(documents.pages(one_inch)).grey.shape == (200, 400)
    grey = next(documents.pages(one_inch, max_pixels=20_000)).grey
    assert grey.size <= 20_000
    assert abs(grey.shape[1] / grey.shape[0] - 2) < 0.05


def test_a_picture_is_a_file_of_one_page():
    [one] = documents.pages(saved([page(4)], "PNG"))
    assert (one.number, one.count, bars(one.grey)) == (1, 1, 4)
    assert documents.page_name("a.png", 1, 1) == "a.png"
    assert documents.page_name("a.pdf", 2, 3) == "a.pdf, page 2"


def test_a_damaged_page_does_not_spoil_the_others():
    content = bytearray(saved([page(1), page(2), page(3)], "TIFF", compression="tiff_deflate"))
    offsets = []
    with Image.open(io.BytesIO(content)) as picture:
        for number in range(3):
            picture.seek(number)
            offsets.append(picture.tag_v2[273][0])
    content[offsets[1] : offsets[1] + 8] = b"\xff" * 8
    one, two, three = documents.pages(bytes(content))
    assert (bars(one.grey), bars(three.grey)) == (1, 3)
    assert isinstance(two.grey, DataError)
    assert str(two.grey).startswith("the given bytes, page 2: the picture is damaged or incomplete")


def test_no_more_than_a_hundred_pages_are_read_and_the_others_are_named():
    many = [page(0, (8, 8))] * 103
    found = list(documents.pages(saved(many, "PDF")))
    assert [one.number for one in found] == list(range(1, 102))
    assert str(found[-1].grey) == "the given bytes: the first 100 pages were read, and 3 were not: split the file"
    found = list(documents.pages(saved(many, "TIFF")))
    assert len(found) == 101
    assert str(found[-1].grey) == "the given bytes: the first 100 pages were read, and more were not: split the file"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7\nnothing", "the PDF is damaged, or needs a password"),
        (saved([page(1), page(2)], "GIF"), "the file holds 2 pictures"),
        (b"", "the file is empty"),
        (b"II*\0" + bytes(20), "not a picture"),
    ],
    ids=["pdf", "animation", "empty", "tiff"],
)
def test_a_file_that_is_no_document_is_refused(content, words):
    with pytest.raises(DataError, match=words):
        list(documents.pages(content))


def test_one_page_is_asked_of_a_file_of_several():
    assert bars(documents.read_one(saved([page(3)], "PDF", resolution=72))) == 3
    with pytest.raises(DataError, match="the file holds 2 pages; exactly one is accepted here"):
        documents.read_one(saved([page(1), page(2)], "TIFF"))


def test_a_telephones_photograph_is_read_upright():
    grey = decode.read_grey(HEIC)
    assert grey.shape == (303, 403)  # its pixels are stored turned
    assert decode.is_heic(HEIC.read_bytes()[:32])


@pytest.mark.parametrize(
    ("content", "package"), [(HEIC.read_bytes(), "pi-heif"), (saved([page(1)], "PDF"), "pypdfium2")]
)
def test_what_is_not_installed_is_named(content, package, monkeypatch):
    monkeypatch.setattr(decode, "reads_heic", lambda: False)
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(DataError, match=f"python -m pip install {package}"):
        list(documents.pages(content))


def test_folders_and_patterns_name_documents(tmp_path):
    (tmp_path / "a.pdf").write_bytes(saved([page(1)], "PDF"))
    (tmp_path / "b.png").write_bytes(saved([page(1)], "PNG"))
    (tmp_path / "c.heic").write_bytes(HEIC.read_bytes())
    (tmp_path / "d.txt").write_text("words")

    def names(argument, **options):
        notes = []
        return [Path(name).name for name, _ in inputs.listed([str(argument)], inputs.PLAIN, notes, **options)], notes

    assert names(tmp_path, pdf=True)[0] == ["a.pdf", "b.png", "c.heic"]
    found, notes = names(tmp_path)
    assert found == ["b.png", "c.heic"]
    assert "skipped 2 files that are not pictures that can be read (a.pdf, d.txt)" in notes[0]
    assert names(tmp_path / "*.p[dn]*")[0] == ["a.pdf", "b.png"]
    with pytest.raises(DataError, match=r"no file matches .*\*\.gif"):
        names(tmp_path / "*.gif")
    (tmp_path / "[1].png").write_bytes(saved([page(1)], "PNG"))
    assert names(tmp_path / "[1].png")[0] == ["[1].png"]  # a file of that name is no pattern
