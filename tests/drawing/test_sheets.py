"""What a figure does to the one of an earlier call."""

from pathlib import Path

import numpy as np
import pytest

from hwr_jax.drawing import record, sheets


def made(label, classes="ab"):
    """A record of two seeds that read everything as the first class."""
    label = np.array(label)
    pred, prob = np.zeros((2, *label.shape), int), np.full((2, *label.shape, len(classes)), 1 / len(classes))
    loss = confidence = np.full((2, len(label)), 0.5)
    facts = {"classes": list(classes), "name": "none"}
    return record.Record("fake", Path("fake"), [], facts, label, pred, prob, loss, confidence, seeds=[0, 1])


def none():
    raise AssertionError("not needed")


def test_a_figure_without_content_removes_the_older_one_and_a_failing_one_keeps_it(tmp_path, monkeypatch):
    path = tmp_path / "classes.png"
    path.write_bytes(b"older")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="torn"):
        patch.setitem(sheets.SHEETS, "classes", sheets.Sheet(_fail, sheets.RECORDS))
        sheets.draw("classes", path, [made([0, 1])], none, none)
    assert path.read_bytes() == b"older"
    assert sheets.draw("classes", path, [made([0, 1])], none, none)
    assert path.read_bytes() != b"older"
    assert not sheets.draw("classes", path, [made([[0, 1], [1, 0]])], none, none)
    assert not list(tmp_path.iterdir())


def _fail(path, records):
    raise RuntimeError("torn")
