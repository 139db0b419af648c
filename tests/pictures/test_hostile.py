"""Files that nobody should trust: each is read or refused in one sentence, and soon, and the others are read."""

import importlib
import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwr_jax.core.errors import DataError
from hwr_jax.inference import parting, scan
from hwr_jax.pictures import characters, decode, documents, effort, page, rendering

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "hostile_pictures.py"


@pytest.fixture(scope="module")
def faults():
    """scripts/faults, as a module: hostile, documents and mutants."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield {name: importlib.import_module(f"faults.{name}") for name in ("hostile", "documents", "mutants")}
    finally:
        sys.path.remove(str(ROOT / "scripts"))


class Fixed:
    """Stands in for the model, which would take most of the time."""

    classes = tuple("0123456789")
    reads_strings = False

    def __init__(self, sure=0.95):
        self.sure = sure

    def predict(self, images):
        prob = np.full((len(images), 10), (1 - self.sure) / 9, np.float32)
        prob[:, 7] = self.sure
        return prob


def test_every_hostile_file_is_read_or_refused_in_one_sentence(faults, monkeypatch):
    monkeypatch.setattr(rendering, "PAGE_S", 1.0)  # others are tested below
    monkeypatch.setattr(documents, "MOST_PAGES", 3)
    monkeypatch.setattr(parting, "MOST", 5)
    words = []
    for number, (name, content) in enumerate(faults["hostile"].files()):
        if number % 3 and "laughs" not in name:  # two hundred of them
            words.append(faults["mutants"].outcome(Fixed(), content).word)
    assert len(words) >= 200
    assert all(words.count(word) > 25 for word in ("read", "blank", "refused"))


def test_mutants_of_every_format_are_read_or_refused(faults):
    kinds = []
    for number in range(300):
        kind, content = faults["mutants"].mutant(number)
        if kind != "PDF":  # a process each
            faults["mutants"].outcome(Fixed(), content, predict=number % 3 == 0)
        kinds.append(kind)
    assert set(kinds) == set(faults["hostile"].seeds())
    assert faults["mutants"].mutant(7) == faults["mutants"].mutant(7)


@pytest.mark.exhaustive
@pytest.mark.parametrize("flag", ["--mutations=20000", "--files"])
def test_all_files_and_20000_mutants_are_read_or_refused_in_time_and_memory(flag):
    done = subprocess.run([sys.executable, SCRIPT, flag], capture_output=True, text=True, timeout=5400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2].split()[-1] == "0"


@pytest.mark.parametrize(("name", "content"), [("a jpeg", b"\xff\xd8"), ("b", b"")])
def test_an_unnamed_outcome_is_a_fault(faults, name, content, monkeypatch):
    """The oracle itself: what is no sentence about the file does not pass."""

    def broken(source):
        raise DataError(f"{name}\n{source!r}")
        yield

    monkeypatch.setattr(documents, "pages", broken)
    with pytest.raises(AssertionError, match=name):
        faults["mutants"].outcome(Fixed(), content)


def test_a_jpeg_of_thousands_of_scans_is_refused_at_once(faults):
    content = faults["hostile"]._progressive(4000, 3000, scans=5000)
    start = time.process_time()
    with pytest.raises(DataError, match="the JPEG has more than the 100 scans allowed"):
        decode.read_grey(content)
    assert time.process_time() - start < 1
    file = io.BytesIO()
    faults["hostile"].digits().save(file, "JPEG", progressive=True)
    assert 1 < effort.scans(file.getvalue()) <= 10
    assert effort.scans(file.getvalue() + content) == effort.scans(file.getvalue())  # only the first picture counts
    assert decode.read_grey(file.getvalue()).shape == (44, 64)


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_half_a_million_strips_is_refused_at_once(faults, big):
    content = dict(faults["documents"].tiffs())["tiff-many-strips.tif"]
    start = time.process_time()
    with pytest.raises(DataError, match="the TIFF has more than the 100,000 strips allowed"):
        list(documents.pages(content))
    assert time.process_time() - start < 1
    file = io.BytesIO()
    picture = Image.new("L", (64, 500), 200)
    rows, options = {278: 2}, {} if big else {"save_all": True, "append_images": [picture]}
    Image.new("L", (8, 8)).save(file, "TIFF", tiffinfo={}, big_tiff=big, **options)
    assert effort.strips(file.getvalue()) == 1
    file = io.BytesIO()
    picture.save(file, "TIFF", tiffinfo=rows, big_tiff=big, strip_size=128, **options)
    assert effort.strips(file.getvalue()) == 250


def test_a_pdf_page_that_would_take_years_is_given_up_and_the_others_are_read(faults, monkeypatch):
    monkeypatch.setattr(rendering, "PAGE_S", 3.0)
    found = [one.grey for one in documents.pages(faults["documents"]._laughs(depth=12, each=10, others=2))]
    assert str(found[0]) == "the given bytes, page 1: the page cannot be drawn: it takes longer than 3 s"
    assert [grey.shape for grey in found[1:]] == [(556, 556)] * 2


def test_after_three_such_pages_the_rest_of_the_pdf_is_given_up(faults, monkeypatch):
    def stopped(self):
        if self.counts:
            self.counts = False
            return rendering.Message({"count": 9}, b"")
        raise rendering.StoppedError("it is damaged, or needs too much memory")

    monkeypatch.setattr(rendering.Process, "counts", True, raising=False)
    monkeypatch.setattr(rendering.Process, "read", stopped)
    found = list(documents.pages(b"%PDF-1.7"))
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert str(found[2].grey).endswith("page 3: the page cannot be drawn: it is damaged, or needs too much memory")
    assert str(found[3].grey).endswith("pages 4 to 9 were not read, for 3 could not be drawn in time")


def test_a_pdf_process_that_ends_without_a_word_is_reported(monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys\nsys.exit(3)\n")
    monkeypatch.setattr(rendering, "__file__", str(program))
    with pytest.raises(DataError, match="the PDF cannot be opened: it is damaged, or needs too much memory"):
        list(documents.pages(b"%PDF-1.7\nnothing"))


def test_on_a_page_of_texture_few_marks_are_taken_apart_and_the_rest_is_counted(faults, monkeypatch):
    monkeypatch.setattr(parting, "MOST", 4)
    grey = np.full((400, 640), 240, np.uint8)
    for row in range(8):
        for column in range(8):
            grey[20 + 45 * row : 50 + 45 * row, 20 + 75 * column : 70 + 75 * column] = 30
    done = scan.steps(Fixed(sure=0.5), grey)
    assert len(done.found) == 64
    assert done.skipped["beyond 4 marks to take apart"] == 60
    assert done.skipped.get("like no digit", 0) <= 4
    assert sum(len(row) for row in done.rows) <= 4 * 7  # no mark that was given up is read
    assert sum(one.is_none for one in done.read) >= 60
    digits, beyond = parting.parted(Fixed(sure=0.5), done.ink, [])
    assert (digits, beyond) == ([], 0)


def test_a_page_of_marks_takes_as_long_as_its_pixels(faults):
    """Rows of long lines, and lines of writing, once took a loop each: minutes of such a page."""
    for name in ("sparse-noise", "grid"):
        [(_, picture)] = faults["hostile"]._textures(400, np.random.default_rng(16), only=name)
        start = time.process_time()
        characters.lines(characters.characters(page.find_marks(np.asarray(picture))).characters)
        assert time.process_time() - start < 5, name
