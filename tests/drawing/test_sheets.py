"""What a figure does to the one of an earlier call, and what the table of the classes shows of an untested class."""

import numpy as np
import pytest

from hwr_jax.core import canvas
from hwr_jax.drawing import classes, record, sheets


def made(label, classes="ab"):
    """A record of two seeds that read everything as the first class."""
    label = np.array(label)
    pred, prob = np.zeros((2, *label.shape), int), np.full((2, *label.shape, len(classes)), 1 / len(classes))
    loss = confidence = np.full((2, len(label)), 0.5)
    facts = {"classes": list(classes), "name": "none"}
    return record.Record("fake", {}, [], facts, label, pred, prob, loss, confidence, seeds=[0, 1])


def none():
    raise AssertionError("not needed")


def test_a_figure_without_content_removes_the_older_one_and_a_failing_one_keeps_it(tmp_path, monkeypatch):
    path = tmp_path / "classes.png"
    path.write_bytes(b"older")
    with monkeypatch.context() as patch:
        patch.setitem(sheets.SHEETS, "classes", sheets.Sheet(_fail, sheets.RECORDS))
        with pytest.raises(RuntimeError, match="torn"):
            sheets.draw("classes", path, [made([0, 1])], none, none)
    assert path.read_bytes() == b"older"
    assert sheets.draw("classes", path, [made([0, 1])], none, none)
    assert path.read_bytes() != b"older"
    assert not sheets.draw("classes", path, [made([[0, 1], [1, 0]])], none, none)
    assert not list(tmp_path.iterdir())


def _fail(path, records):
    raise RuntimeError("torn")


def test_a_class_without_test_images_has_a_name_and_a_count_and_no_mark(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: kept.append(figure))
    tested = made([0, 0, 0, 1], classes="abc")
    classes.table(tmp_path / "classes.png", [tested._replace(pred=np.array([[0, 0, 0, 1], [2, 0, 0, 1]]))])
    left, right = kept[0].axes
    (marks,) = right.lines
    np.testing.assert_allclose(marks.get_xdata(), [10, 0])  # F1 of a: 1 and 0.8
    assert right.get_xlim()[1] < 25
    written = {text.get_text(): round(text.get_position()[1]) for text in left.texts if text.get_position()[1] >= 0}
    assert [text for text, row in written.items() if row == 2 and text] == ["0"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["a", "b", "c"]


def test_of_very_many_classes_the_table_has_those_with_the_most_mistakes(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: kept.append(figure))
    monkeypatch.setattr(classes, "ROWS", 2)
    one = made([0, 1, 2, 2], classes="abc")
    classes.table(tmp_path / "classes.png", [one, one._replace(name="other", pred=np.array([[0, 1, 2, 2]] * 2))])
    left, right = kept[0].axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["a", "c"]
    counts = {round(text.get_position()[1]): text.get_text() for text in left.texts if text.get_position()[0] == 0.1}
    assert counts == {-1: "count", 0: "1", 1: "2"}
    np.testing.assert_allclose([line.get_xdata() for line in right.lines], [[60, 100], [0, 0]])
    np.testing.assert_allclose([line.get_ydata() for line in right.lines], [[-0.125, 0.875], [0.125, 1.125]])
    assert kept[0].get_suptitle().endswith("the 2 of 3 classes with the most mistakes")
