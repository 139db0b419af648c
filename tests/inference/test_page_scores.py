"""How well pages are read: counted by hand, refused with a reason, and printed by evaluate."""

import json

import numpy as np
import pytest
from PIL import Image

from hwr_jax.core.errors import DataError
from hwr_jax.data import pages
from hwr_jax.inference import page_scores, scan


def read_as(monkeypatch, **texts):
    """Lets `scan` read these lines in the files of these names, and fail on others."""

    def read(model, path):
        if path.stem not in texts:
            raise DataError(f"{path}: no picture")
        lines = [scan.Line(text, 1.0, (0, 0, 1, 1)) for text in texts[path.stem]]
        return scan.Page(str(path), lines, [], {"too pale": 2}, [], 7.0)

    monkeypatch.setattr(scan, "scan", read)


def truth(folder, *rows):
    (folder / page_scores.TRUTH).write_text(json.dumps(rows))


def test_scores_are_those_counted_by_hand(monkeypatch, tmp_path):
    truth(
        tmp_path,
        {"file": "a.png", "lines": ["123", "45"], "medium": "scan"},
        {"file": "b.png", "lines": ["777", "777", "8"], "medium": "photo"},
        {"file": "c.png", "label": 5, "medium": "photo"},
        {"file": "d.png", "lines": ["90"]},
    )
    read_as(monkeypatch, a=["123", "45"], b=["777", "78"], c=["6"])
    said = []
    found = page_scores.score(None, tmp_path, log=said.append)
    assert (found["pages"], found["lines"], found["characters"]) == (4, 7, 15)
    # b: 7777778 is read as 77778: two characters are missing; c: one wrong; d: both missing
    assert found["cer"] == pytest.approx((2 + 1 + 2) / 15)
    assert found["exact_lines"] == pytest.approx(3 / 7)  # 123, 45, and one of the two 777
    assert found["exact_pages"] == 1 / 4
    assert 0 < found["ms"] < 1000
    assert found["by_medium"]["photo"]["exact_lines"] == 1 / 4
    assert set(found["by_medium"]) == {"scan", "photo", "not said"}
    assert [page["image"] for page in found["wrong"]] == ["b.png", "c.png", "d.png"]
    assert said == [f"{tmp_path / 'd.png'}: no picture"]
    assert found["unread"] == ["d.png"]
    assert found["skipped"] == {"too pale": 6}


@pytest.mark.parametrize(
    ("read", "true", "edits"),
    [("", "123", 3), ("123", "", 3), ("kitten", "sitting", 3), ("12", "21", 2), ("7", "7", 0)],
)
def test_edits_from_one_text_to_another(read, true, edits):
    assert page_scores.edit_distance(read, true) == edits


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"has no ground_truth.json: a list of objects with file, lines and medium"),
        ("{", r"ground_truth.json cannot be read: "),
        ("[]", r"is not a list of pages, or it is empty"),
        ('[{"lines": ["1"]}]', r"page 1, has no `file`"),
        ('[{"file": "a.png", "lines": "12"}]', r"page 1, has no `lines`, a list of texts, and no `label`"),
        ('[{"file": "a.png", "lines": ["12", ""]}]', r"page 1, has a line that is empty or has a space"),
        ('[{"file": "a.png", "lines": ["1 2"]}]', r"page 1, has a line that is empty or has a space"),
        ('[{"file": "a.png", "label": null}]', r"page 1, has no `lines`"),
        ('[{"file": "a.png", "label": 1, "medium": null}]', r"page 1, has a `medium` that is not text"),
        ('[{"file": "a.png", "label": 1}, {"file": "a.png", "label": 1}]', r"names a.png twice"),
        (r'[{"file": "a\u0000.png", "label": 1}]', r"page 1, has no `file`"),
        (r'[{"file": "\ud800.png", "label": 1}]', r"page 1, has no `file`"),
        ("[" * 100_000, r"cannot be read: "),
        ('[{"file": "../a.png", "label": 1}]', r"page 1, names ../a.png, which is outside of the folder"),
    ],
)
def test_a_wrong_truth_gives_an_error(tmp_path, content, words):
    if content is not None:
        (tmp_path / page_scores.TRUTH).write_text(content)
    with pytest.raises(DataError, match=words):
        page_scores.read_truth(tmp_path)


def test_a_page_that_is_known_to_be_blank_may_be_read_blank(monkeypatch, tmp_path):
    truth(tmp_path, {"file": "a.png", "lines": []}, {"file": "b.png", "lines": []})
    read_as(monkeypatch, a=[], b=["1"])
    found = page_scores.score(None, tmp_path, log=print)
    assert (found["exact_pages"], found["cer"], found["characters"]) == (0.5, 1.0, 0)


def test_evaluate_says_how_well_pages_are_read(two_seeds, digits, command, tmp_path):
    glyphs, labels = np.asarray(digits.test.image[..., 0]), np.asarray(digits.test.label)
    rows = []
    for i in range(2):
        part = slice(10 * i, 10 * i + 8)
        page = pages.compose(np.random.default_rng(i), glyphs[part], labels[part], [5, 3], digit_px=40.0)
        Image.fromarray(page.grey).save(tmp_path / f"{i}.png")
        rows.append({"file": f"{i}.png", "lines": page.lines, "medium": "composed"})
    truth(tmp_path, *rows)
    flags = [f"--workdir={two_seeds[0]}", f"--pages={tmp_path}"]
    found = json.loads(command("evaluate", *flags, "--format=json").stdout)
    assert (found["pages"], found["characters"], found["seeds"]) == (2, 16, [0, 1])
    assert found["cer"] < 0.35  # of a network of five epochs
    table = command("evaluate", *flags)
    assert table.returncode == 0, table.stderr
    assert f"{100 * found['cer']:.2f} %" in table.stdout
    wrong = command("evaluate", *flags, "--split=train")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (64, 1)
    assert "--split does not apply to --pages" in wrong.stderr
    for flag in ("--match=name", "--pixel_scale=1", "--data_dir=x"):
        assert "does not apply to --pages" in command("evaluate", *flags, flag).stderr
    (tmp_path / "1.png").unlink()
    unread = command("evaluate", *flags)
    assert unread.returncode == 66
    assert "1.png: No such file or directory" in unread.stdout
    (tmp_path / page_scores.TRUTH).unlink()
    missing = command("evaluate", *flags)
    assert (missing.returncode, missing.stderr.count("\n")) == (66, 1)
    assert "has no ground_truth.json" in missing.stderr
