"""What the figures read of a run, and which runs they refuse."""

import json
import re
import shutil

import numpy as np
import pytest

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.drawing import classes, hardest, record


@pytest.fixture
def run(two_seeds):
    return two_seeds[0]


@pytest.fixture
def copy(run, tmp_path):
    """A second run, with what the figures read."""
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("config.json", "environment.json", "metrics.jsonl", "predictions.npz", "summary.json"):
        shutil.copy(run / name, folder / name)
    return folder


def test_a_record_is_the_outcome_of_the_run(run):
    (found,) = record.read([run])
    summary = json.loads((run / "summary.json").read_text())
    assert (~found.correct).sum(1).tolist() == summary["test"]["error_count"]["per_seed"]
    assert found.name == run.name
    assert not found.reads_strings


def test_the_table_of_the_classes_has_the_numbers_of_the_summary(run):
    (found,) = record.read([run])
    summary = json.loads((run / "summary.json").read_text())
    scores, confusion = classes.scores(found)
    assert confusion.tolist() == summary["confusion"]
    for name, values in scores.items():
        np.testing.assert_allclose(values.mean(0), summary["per_class"][name])


def test_runs_of_the_same_name_are_told_apart_by_their_folders(run, copy, tmp_path):
    twin = shutil.copytree(copy, tmp_path / "elsewhere" / "other")
    assert [r.name for r in record.read([run, copy, twin])] == [run.name, f"{tmp_path.name}/other", "elsewhere/other"]


def test_a_run_is_not_compared_with_itself(run, copy):
    with pytest.raises(ConfigError, match="is named twice"):
        record.read([run, run.parent / "." / run.name])


def test_runs_of_other_test_sets_are_not_compared(run, copy):
    arrays = dict(np.load(copy / "predictions.npz"))
    np.savez(copy / "predictions.npz", **{**arrays, "label": arrays["label"][::-1]})
    with pytest.raises(ConfigError, match=r"other \(other test labels\) cannot be drawn with .*: leave it out"):
        record.read([run, copy])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("name", "letters", "another data set: letters, not digits"),
        ("sha256", "0" * 64, "another content of digits: SHA-256 000000000000, not"),
        ("classes", list("abcdefghij"), "other test labels"),
    ],
)
def test_runs_of_other_data_with_the_same_labels_are_not_compared(run, copy, key, value, words):
    environment = files.read_json(copy / "environment.json")
    environment["dataset"][key] = value
    files.write_json(copy / "environment.json", environment)
    with pytest.raises(ConfigError, match=re.escape(f"{copy} ({words}")):
        record.read([run, copy])


def test_runs_whose_classes_are_in_another_order_are_not_drawn_together(run, copy):
    environment = files.read_json(copy / "environment.json")
    environment["dataset"]["classes"] = environment["dataset"]["classes"][::-1]
    files.write_json(copy / "environment.json", environment)
    arrays = dict(np.load(copy / "predictions.npz"))
    np.savez(copy / "predictions.npz", **{**arrays, "label": 9 - arrays["label"]})  # the same names for all images
    with pytest.raises(ConfigError, match=r"other \(other classes\) cannot be drawn with"):
        record.read([run, copy])


def test_a_run_that_has_not_finished_is_named(copy):
    (copy / "summary.json").unlink()
    with pytest.raises(ConfigError, match=r"other \(it is not finished: its command resumes it\) cannot be drawn"):
        record.read([copy])


def test_an_export_is_named_as_one(copy):
    environment = files.read_json(copy / "environment.json")
    files.write_json(copy / "environment.json", {**environment, "exported": {}})
    for name in ("predictions.npz", "summary.json"):
        (copy / name).unlink()
    with pytest.raises(ConfigError, match=r"other \(it is an export, which has no results\) cannot be drawn: name a"):
        record.read([copy])


def test_a_run_whose_predictions_were_removed_is_named(copy):
    (copy / "predictions.npz").unlink()
    with pytest.raises(RunFolderError, match=r"other has no predictions\.npz"):
        record.read([copy])


@pytest.mark.parametrize("damage", ["torn", "short", "lacking"])
def test_damaged_predictions_are_named(copy, damage):
    path, arrays = copy / "predictions.npz", dict(np.load(copy / "predictions.npz"))
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "short":
        np.savez(path, **{**arrays, "pred": arrays["pred"][:, 1:]})
    else:
        np.savez(path, **{key: value for key, value in arrays.items() if key != "loss"})
    with pytest.raises(RunFolderError, match=r"predictions\.npz"):
        record.read([copy])


def fake(*, label, pred, loss, confidence):
    """A record of two classes, a and b."""
    values = [np.array(x) for x in (label, pred, np.zeros((*np.shape(pred), 2)), loss, confidence)]
    return record.Record("fake", {}, [], {"classes": ["a", "b"], "name": "none"}, *values, seeds=[0, 1, 2])


def test_the_hardest_images_are_those_of_the_highest_mean_loss_that_a_seed_misreads():
    found = fake(
        label=[0, 1, 0],
        pred=[[1, 1, 0], [1, 1, 1], [0, 1, 0]],
        loss=[[0.5, 9, 2], [0.5, 9, 2], [0.5, 9, 2]],
        confidence=[[0.9, 0.6, 0.8], [0.7, 0.6, 0.5], [0.6, 0.6, 0.8]],
    )
    assert hardest.ranked(found).tolist() == [2, 0]  # image 1 has the highest loss, but every seed reads it
    assert hardest.caption(found, 0) == "#0 label a\nread b, 80%, 2 of 3"
    assert hardest.caption(found, 2) == "#2 label a\nread b, 50%, 1 of 3"
