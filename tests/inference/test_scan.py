"""A page read: every digit in its place, touching ones parted by what the model makes of them, and what is doubtful."""

import csv
import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from hwr_jax.core.errors import ConfigError
from hwr_jax.data import pages
from hwr_jax.inference import annotate, predictor, scan, stages
from hwr_jax.inference import pages as command_line


class Reader:
    """Stands in for a model: as sure as `sure` says of an image, that it is a 7."""

    classes = tuple("0123456789")
    reads_strings = False

    def __init__(self, sure=lambda image: 0.99):
        self.sure = sure

    def predict(self, images):
        assert images.dtype == np.uint8
        assert images.shape[1:] == (28, 28)
        prob = np.full((len(images), 10), 0.0, np.float32)
        for row, image in zip(prob, images, strict=True):
            row[:] = (1 - self.sure(image)) / 9
            row[7] = self.sure(image)
        return prob


@pytest.fixture
def write(digits):
    glyphs, labels = np.asarray(digits.test.image[..., 0]), np.asarray(digits.test.label)

    def compose(seed, lengths=(6, 6, 6), **options):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(labels))[: sum(lengths)]
        return pages.compose(rng, glyphs[rows], labels[rows], list(lengths), **options)

    return compose


def overlap(a, b):
    """The share of two boxes (x, y, width, height) that both have."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = a, b
    across, down = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
    both = max(across, 0) * max(down, 0)
    return both / (aw * ah + bw * bh - both)


@pytest.mark.parametrize(
    "options",
    [{}, {"paper": "ruled"}, {"shadow": 0.6}, {"tilt_deg": 5.0}, {"desk": True, "tilt_deg": 5.0}, {"digit_px": 60.0}],
    ids=lambda options: "-".join(options) or "plain",
)
def test_every_digit_is_found_in_its_place(write, options):
    found = expected = 0
    for seed in range(4):
        composed = write(seed, **options)
        read = scan.scan(Reader(), composed.grey)
        expected += len(composed.boxes)
        found += sum(max((overlap(box, d.box) for d in read.digits), default=0) > 0.6 for box in composed.boxes)
        assert len(read.digits) <= len(composed.boxes) + 1
    assert found >= 0.95 * expected


def test_lines_are_in_reading_order_and_boxes_in_pixels_of_the_picture(write):
    composed = write(1, digit_px=40.0)
    big = np.kron(composed.grey, np.ones((4, 4), np.uint8))
    read = scan.scan(Reader(), big)
    assert [line.text for line in read.lines] == ["7" * 6] * 3
    assert read.text == "777777\n777777\n777777"
    assert [d.line for d in read.digits] == [0] * 6 + [1] * 6 + [2] * 6
    for digit, (x, y, width, height) in zip(read.digits, composed.boxes, strict=True):
        assert overlap(digit.box, (4 * x, 4 * y, 4 * width, 4 * height)) > 0.6
    first = read.lines[0]
    assert first.confidence == pytest.approx(0.99**6, abs=1e-4)
    x, y, width, height = first.box
    for digit in read.digits[:6]:
        assert x <= digit.box[0]
        assert digit.box[0] + digit.box[2] <= x + width
        assert y <= digit.box[1]
        assert digit.box[1] + digit.box[3] <= y + height


def ring(diameter):
    y, x = np.mgrid[:diameter, :diameter] - (diameter - 1) / 2
    return np.abs(np.hypot(y, x) - diameter / 2 + 4) < 3


def with_touching():
    """A page with rings, two of which touch."""
    grey = np.full((160, 500), 235, np.uint8)
    for left in (30, 110, 190, 231, 320, 400):
        part = grey[60:102, left : left + 42]
        part[ring(42)] = 40
    return grey


def test_digits_that_touch_are_parted_if_the_model_reads_the_parts():
    one_ring = scan.scan(Reader(), with_touching()[:, 280:])
    assert len(one_ring.digits) == 2
    wide = Reader(lambda image: 0.97 if (image > 127).any(0).sum() < 1.15 * (image > 127).any(1).sum() else 0.5)
    read = scan.scan(wide, with_touching())
    assert [line.text for line in read.lines] == ["777777"]
    for digit, left in zip(read.digits, (30, 110, 190, 231, 320, 400), strict=True):
        assert overlap(digit.box, (left, 60, 42, 42)) > 0.6


def test_a_mark_that_reads_well_as_a_whole_is_not_cut():
    grey = np.full((160, 300), 235, np.uint8)
    for left in (30, 110, 200):
        grey[60:102, left : left + 40][ring(42)[:, :40]] = 40
    whole = Reader(lambda image: 0.99 if (image > 127).any(0).sum() > 14 else 0.3)
    assert len(scan.scan(whole, grey).digits) == 3


def test_a_line_that_looks_like_no_digits_is_skipped_and_counted(write):
    read = scan.scan(Reader(lambda image: 0.3), write(2).grey)
    assert (read.lines, read.digits, read.text) == ([], [], "")
    assert read.skipped == {"like no digit": 18}


class Rejecting(Reader):
    """Takes a bar for none."""

    classes = (*Reader.classes, "none")

    def predict(self, images):
        prob = np.concatenate([super().predict(images), np.zeros((len(images), 1), np.float32)], axis=1)
        prob[(images > 127).any(1).sum(1) < 10] = [0.02] * 10 + [0.8]
        return prob


def test_marks_of_the_class_none_are_skipped_and_counted():
    grey = np.full((160, 560), 235, np.uint8)
    for left in (30, 110, 200, 290, 370):
        grey[60:102, left : left + 42][ring(42)] = 40
    for left in (450, 510):
        grey[60:102, left : left + 9] = 40
    assert len(scan.scan(Reader(), grey).digits) == 7
    read = scan.scan(Rejecting(), grey)
    assert [line.text for line in read.lines] == ["77777"]
    assert read.skipped == {"like no digit": 2}
    assert all(label != "none" for d in read.digits for label, _ in d.alternatives)


def test_a_line_of_letters_is_left_out_with_what_looks_like_a_digit_in_it():
    grey = np.full((260, 560), 235, np.uint8)
    for left in (30, 110, 200, 290):
        grey[60:102, left : left + 42][ring(42)] = 40
    grey[160:202, 30:72][ring(42)] = 40
    for left in (110, 170, 230):  # of these the class `none` is more probable
        grey[160:202, left : left + 9] = 40
    read = scan.scan(Rejecting(), grey)
    assert [line.text for line in read.lines] == ["7777"]
    assert read.skipped == {"like no digit": 4}


def test_a_line_of_another_size_is_left_out_and_counted():
    side = 104
    grey = np.full((300, 700), 235, np.uint8)
    for top, left in itertools.product((40, 100), (30, 110, 200, 290, 370, 450)):
        grey[top : top + 42, left : left + 42][ring(42)] = 40
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    for left in (30, 150):
        thin = np.abs(np.hypot(y, x) - side / 2 + 3) < 2
        grey[180 : 180 + side, left : left + side][thin] = 40
    read = scan.scan(Reader(), grey)
    assert [line.text for line in read.lines] == ["777777", "777777"]
    assert read.skipped["in lines of another size"] >= 2  # the model would part what it reads as well in parts


def test_digits_below_a_confidence_are_rejected(write):
    composed = write(3)
    read = scan.scan(Reader(lambda image: 0.97 if image[:, 14].any() and image.sum() % 2 else 0.93), composed.grey)
    rejected = read.rejecting(0.95)
    for digit, after in zip(read.digits, rejected.digits, strict=True):
        assert after.label == ("?" if digit.confidence < 0.95 else digit.label)
    assert 0 < rejected.text.count("?") == sum(d.confidence < 0.95 for d in read.digits) < len(read.digits)
    assert read.rejecting(0.0) == read


def test_a_blank_page_says_nothing():
    read = scan.scan(Reader(), np.full((300, 200), 250, np.uint8))
    assert (read.lines, read.digits, read.skipped) == ([], [], {})


def test_a_model_that_reads_lines_is_refused():
    reader = Reader()
    reader.reads_strings = True
    with pytest.raises(ConfigError, match="this model reads lines"):
        scan.scan(reader, np.zeros((100, 100), np.uint8))
    with pytest.raises(ConfigError, match="reads lines"):  # of the commands
        command_line.run(reader, ["page.png"], command_line.Asked("json", "auto", 0.0, None, None), print)


def test_a_page_becomes_plain_values(write):
    read = scan.scan(Reader(), write(4).grey)
    values = json.loads(json.dumps(read.to_json()))
    assert set(values) == {"image", "page", "text", "lines", "digits", "skipped", "notes", "ms"}
    assert set(values["lines"][0]) == {"text", "confidence", "box"}
    assert set(values["digits"][0]) == {"label", "confidence", "alternatives", "box", "line"}
    assert values["digits"][0]["alternatives"][0]["confidence"] < values["digits"][0]["confidence"]


def ink(*boxes, size=(120, 200)):
    """Paper with dark boxes (top, left, bottom, right)."""
    grey = np.full(size, 235, np.uint8)
    for top, left, bottom, right in boxes:
        grey[top:bottom, left:right] = 40
    return grey


def test_the_mode_says_what_a_picture_shows():
    two_rows = ink((20, 30, 50, 36), (70, 60, 100, 66), (20, 120, 50, 126))
    assert scan.scan(Reader(), two_rows, mode="page").text == "77\n7"
    line = scan.scan(Reader(), two_rows, mode="line")
    assert line.text == "777"
    assert [d.box[0] for d in line.digits] == sorted(d.box[0] for d in line.digits)
    assert line.notes == ["2 lines were found, and are read as one from left to right"]
    digit = scan.scan(Reader(), two_rows, mode="digit")
    assert digit.text == "7"
    assert digit.digits[0].box == (0, 0, 200, 120)
    assert "3 characters" in digit.notes[0]
    assert digit.digits[0].confidence < 0.99 / 2  # what speaks against it counts
    assert scan.scan(Reader(), two_rows).text == "77\n7"
    assert scan.scan(Reader(), np.full((50, 50), 200, np.uint8), mode="digit").lines == []
    with pytest.raises(ConfigError, match="mode='word' is not known: use one of auto, digit, line, page"):
        scan.scan(Reader(), two_rows, mode="word")


def test_what_may_be_one_digit_is_read_so_if_that_is_surer():
    broken = ink((20, 90, 60, 96), (67, 90, 107, 96))
    assert scan.scan(Reader(), broken, mode="page").text == "7\n7"
    found = scan.scan(Reader(), broken)
    assert (found.text, found.notes) == ("7", ["read as a picture of one digit"])
    assert found.digits[0].confidence == pytest.approx(0.99)
    alone = scan.scan(Reader(), ink((20, 90, 100, 96)))
    assert (alone.text, alone.notes) == ("7", [])  # both say so: the page knows where it is
    assert alone.digits[0].box[2] < 20
    several = ink((20, 60, 100, 66), (20, 120, 100, 126))
    assert scan.scan(Reader(), several).text == "77"  # two characters speak against one


def test_steps_are_drawn_from_the_paper_to_what_the_model_sees(write, tmp_path):
    grey = write(4, lengths=(3, 4)).grey
    done = scan.steps(Reader(), grey)
    drawn = stages.draw(done, Reader.classes)
    assert list(drawn) == ["1-sheet", "2-contrast", "3-ink", "4-marks", "5-characters", "6-digits"]
    assert all(drawn[name].size == drawn["1-sheet"].size for name in list(drawn)[1:5])
    assert (np.asarray(drawn["4-marks"]) != 255).any(2).mean() == pytest.approx((done.ink.labels > 0).mean(), abs=1e-3)
    assert drawn["6-digits"].size[0] == 7 * (3 * 28 + 4)
    page = scan.scan(Reader(), grey)._replace(picture="a.tiff", number=2, count=3)
    taken = set()
    paths = stages.write(tmp_path, page, done, Reader.classes, taken)
    assert [p.name for p in paths] == [f"a-page2-{name}.png" for name in drawn]
    assert all(annotate.is_copy(p) for p in paths)
    alone = stages.draw(scan.steps(Reader(), grey, "digit"), Reader.classes)
    assert list(alone) == ["1-sheet", "6-digits"]
    blank = stages.draw(scan.steps(Reader(), np.full((60, 60), 200, np.uint8)), Reader.classes)
    assert list(blank) == ["1-sheet", "6-digits"]


def test_a_copy_shows_what_was_read_and_replaces_no_file_of_others(write, tmp_path):
    grey = write(5).grey
    read = scan.scan(Reader(), grey)._replace(picture="scans/page.png")
    first = annotate.write(tmp_path / "out", read, grey, set())
    assert first.name == "page-read.png"
    with Image.open(first) as picture:
        drawn = np.asarray(picture).astype(int)
    coloured = np.ptp(drawn, axis=2) > 60
    x, y, width, height = read.digits[0].box
    assert coloured[y - 2 : y + height + 2, x - 2 : x + width + 2].any()
    taken = set()
    assert annotate.is_copy(first)
    assert annotate.write(tmp_path / "out", read, grey, taken) == first  # ours: drawn anew
    other = read._replace(picture="others/page.png")
    assert annotate.write(tmp_path / "out", other, grey, taken).name == "page-read-2.png"
    assert annotate.write(tmp_path / "out", other, grey, set()).name == "page-read-2.png"
    first.unlink()
    for mine in (lambda: first.write_bytes(b"mine"), lambda: first.symlink_to(tmp_path / "nowhere")):
        mine()
        assert annotate.write(tmp_path / "out", read, grey, set()).name == "page-read-3.png"
        assert first.is_symlink() or first.read_bytes() == b"mine"
        first.unlink()


@pytest.fixture
def scans(write, tmp_path):
    composed = [write(seed, lengths=(4, 3), digit_px=40.0) for seed in (0, 1)]
    for i, page in enumerate(composed):
        Image.fromarray(page.grey).save(tmp_path / f"page{i}.png")
    return tmp_path, composed


def test_a_long_strip_has_its_boxes_in_place():
    """The strip is reduced by a tenth more in one direction than in the other."""
    grey = np.full((115, 4000), 235, np.uint8)
    lefts = range(30, 3900, 120)
    for left in lefts:
        grey[30:72, left : left + 42][ring(42)] = 40
    read = scan.scan(Reader(), grey)
    assert len(read.digits) == len(lefts)
    for digit, left in zip(read.digits, lefts, strict=True):
        assert overlap(digit.box, (left, 30, 42, 42)) > 0.6


def test_what_is_as_large_as_a_digit_and_not_read_is_counted_with_its_reason():
    grey = np.full((600, 900), 235, np.uint8)
    for row in range(4):
        for left in range(100, 760, 120):
            grey[100 * row + 60 : 100 * row + 102, left : left + 42][ring(42)] = 40
    grey[565:600, 300:342][ring(42)[:35]] = 40  # cut off by the outline
    grey[480:522, 500:542][ring(42)] = 200  # pale
    read = scan.scan(Reader(), grey)
    assert len(read.digits) == 24
    assert read.skipped == {"at the outline": 1, "too pale": 1}


def test_a_sheet_that_is_cut_out_is_told(write):
    read = scan.scan(Reader(), write(8, desk=True, tilt_deg=4.0, digit_px=40.0).grey)
    [note] = read.notes
    assert note.startswith("only the sheet at x=")
    assert scan.scan(Reader(), write(8).grey).notes == []


def test_the_command_reads_pages(two_seeds, scans, command, tmp_path):
    folder, composed = scans
    (folder / "bad.png").write_text("no picture")
    flags = [f"--workdir={two_seeds[0]}", f"--annotate={tmp_path / 'checked'}"]
    done = command("scan", *flags, "--format=json", folder)
    assert done.returncode == 66
    assert "bad.png" in done.stderr
    found = json.loads(done.stdout)
    assert [row["image"] for row in found] == [str(folder / f"page{i}.png") for i in (0, 1)]
    right = sum(
        a == b
        for row, page in zip(found, composed, strict=True)
        for a, b in zip(row["text"].replace("\n", ""), "".join(page.lines), strict=True)
    )
    assert right >= 10  # of 14, by a network of five epochs
    copies = [f"page{i}-read.png" for i in (0, 1)]
    assert sorted(p.name for p in (tmp_path / "checked").iterdir()) == copies
    again = command("scan", *flags, "--format=json", folder)  # the copies lie below the folder that is read
    assert "skipped 2 copies that scan wrote earlier" in again.stderr
    assert [row["text"] for row in json.loads(again.stdout)] == [row["text"] for row in found]
    assert sorted(p.name for p in (tmp_path / "checked").iterdir()) == copies


def test_the_command_reads_the_others_whatever_becomes_of_one(two_seeds, scans, command, tmp_path):
    folder, _ = scans
    np.savez(tmp_path / "arrays.npz", x=np.zeros((2, 28, 28), np.uint8))
    (tmp_path / "table.csv").write_text("\n".join(",".join(["7"] * 785) for _ in range(3)))
    blank = tmp_path / "blank.png"
    Image.new("L", (200, 100), 255).save(blank)
    paths = [folder / "page0.png", "x" * 300, tmp_path / "arrays.npz", tmp_path / "table.csv", tmp_path / "none", blank]
    done = command("scan", f"--workdir={two_seeds[0]}", "--format=csv", *paths)
    assert done.returncode == 66
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["image"] for row in rows] == [str(folder / "page0.png")] * 2 + [str(blank)]
    assert rows[-1]["text"] == ""
    assert "Traceback" not in done.stderr
    for words in (
        "File name too long",
        "not a picture but grey values in a file",
        "table.csv",
        "none: No",
    ):
        assert words in done.stderr
    (tmp_path / "file").write_text("")
    wrong = command("scan", f"--workdir={two_seeds[0]}", f"--annotate={tmp_path / 'file'}", blank)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (64, 1)
    assert "is a file: name a folder" in wrong.stderr


def test_the_command_prints_tables_text_and_values(two_seeds, scans, command):
    folder, _ = scans
    flags = [f"--workdir={two_seeds[0]}", folder / "page0.png"]
    text = command("scan", *flags, "--format=text")
    assert text.returncode == 0, text.stderr
    lines = text.stdout.splitlines()
    assert [len(line) for line in lines] == [4, 3]
    rows = list(csv.DictReader(io.StringIO(command("scan", *flags, "--format=csv").stdout)))
    assert [row["text"] for row in rows] == lines
    assert set(rows[0]) == {"image", "line", "text", "confidence", "x", "y", "width", "height"}
    table = command("scan", *flags).stdout
    assert all(line in table for line in lines)
    assert set(command("scan", *flags, "--format=text", "--reject_below=1").stdout) == set("?\n")
    wrong = command("scan", *flags, "--reject_below=90")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (64, 1)
    assert "--reject_below=90 is out of range: use a number from 0 to 1" in wrong.stderr


def test_a_run_reads_a_page_in_python(two_seeds, write):
    read = scan.scan(predictor.load(two_seeds[0]), write(6, digit_px=40.0).grey)
    assert len(read.digits) == 18
    assert np.mean([d.confidence for d in read.digits]) > 0.7
