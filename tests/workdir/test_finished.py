"""A folder of run folders is one run if these differ in nothing but their seeds, and is refused by name if not."""

import json
import shutil

import numpy as np
import pytest

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError
from hwr_jax.drawing import record
from hwr_jax.studies import runs, side_by_side
from hwr_jax.studies.metric import METRICS
from hwr_jax.workdir import finished

ARRAYS = ("label", "pred", "seeds")


def of_seed(values, i):
    """JSON of a run with the values of its seed `i` alone."""
    if isinstance(values, dict):
        return {k: [v[i]] if k == "per_seed" and isinstance(v, list) else of_seed(v, i) for k, v in values.items()}
    return values


@pytest.fixture
def array(two_seeds, tmp_path):
    """The folder of an array of two tasks that trained the seeds of `two_seeds`, one each."""
    whole = two_seeds[0]
    for i in (1, 0):  # any order
        folder = tmp_path / "array" / str(i)
        folder.mkdir(parents=True)
        config = files.read_json(whole / "config.json")
        files.write_json(folder / "config.json", {**config, "seed": i, "seeds": 1})
        shutil.copy(whole / "environment.json", folder)
        summary = files.read_json(whole / "summary.json")
        half = {"seeds": [i], "train_seconds": summary["train_seconds"] / 2}
        files.write_json(folder / "summary.json", {**of_seed(summary, i), **half})
        lines = files.read_json_lines(whole / "metrics.jsonl")
        each = [{**line, "per_seed": {k: [v[i]] for k, v in line["per_seed"].items()}} for line in lines]
        files.write_json_lines(folder / "metrics.jsonl", each)
        with np.load(whole / "predictions.npz") as kept:
            np.savez(folder / "predictions.npz", **{k: v if k == "label" else v[i : i + 1] for k, v in kept.items()})
    (tmp_path / "array" / "figures").mkdir()  # no part of the run
    return tmp_path / "array"


def test_an_array_is_the_run_that_has_all_its_seeds(array, two_seeds):
    accuracy = METRICS["accuracy"]
    found = side_by_side.compare(runs.read([str(two_seeds[0]), str(array)], accuracy), accuracy)
    whole, parts = found["runs"]
    assert {**parts, "run": whole["run"]} == {
        **whole,
        "train_seconds": pytest.approx(whole["train_seconds"]),
        "images_per_second": pytest.approx(whole["images_per_second"]),
    }
    (difference,) = found["differences"]
    assert (difference["over_seeds"]["seeds"], difference["over_seeds"]["mean"]) == (2, 0.0)
    assert (difference["over_images"]["gained"], difference["over_images"]["lost"]) == (0, 0)
    assert found["config"] == {}
    assert f"{array} is 2 runs of different seeds as one: its seconds are their sum." in found["notes"]


def test_the_scores_of_an_array_are_those_of_the_whole_run(array, two_seeds):
    (found,) = finished.read([array], ARRAYS, how="compared")
    whole = files.read_json(two_seeds[0] / "summary.json")
    for split in ("validation", "test"):
        for name, scores in found.summary[split].items():
            assert scores == whole[split][name], name
    assert found.folders == {0: array / "0", 1: array / "1"}


def test_figures_show_an_array_as_one_run(array, two_seeds):
    (found,), (whole,) = record.read([array]), record.read([two_seeds[0]])
    assert found.seeds == whole.seeds == [0, 1]
    for name in ("label", "pred", "prob", "loss", "confidence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert [line["per_seed"] for line in found.lines] == [line["per_seed"] for line in whole.lines]


def test_the_curves_of_an_array_end_where_its_shortest_part_ends(array):
    path = array / "1" / "metrics.jsonl"
    lines = files.read_json_lines(path)
    last = max(line["epoch"] for line in lines)
    files.write_json_lines(path, [line for line in lines if line["epoch"] < last])
    (found,) = record.read([array])
    assert max(line["epoch"] for line in found.lines) == last - 1


def change(path, keys, value):
    content = json.loads(path.read_text())
    *groups, last = keys.split(".")
    inner = content
    for group in groups:
        inner = inner[group]
    inner[last] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "key", "value", "words"),
    [
        ("config.json", "model.dropout", 0.9, "config.model.dropout: "),
        ("config.json", "data.label_noise", 0.25, "config.data.label_noise: 0.0 -> 0.25"),
        ("environment.json", "dataset.sha256", "0" * 64, f"dataset.sha256: .* -> {'0' * 64}"),
        ("environment.json", "dataset.examples.train", 7, "dataset.examples.train: .* -> 7"),
        ("environment.json", "code.sha256", "0" * 64, r"code: \['.*'\] -> \['0+'\]"),
        ("environment.json", "init_from", {"sha256": "1"}, "init_from: None -> 1"),
    ],
)
def test_parts_that_differ_in_more_than_the_seeds_are_no_run(array, file, key, value, words):
    change(array / "1" / file, key, value)
    with pytest.raises(ConfigError, match=rf"is not one run: .*1 is not .*0 with other seeds \({words}.*one by one"):
        finished.read([array], ARRAYS, how="compared")


def test_a_seed_that_two_parts_have_is_named(array):
    shutil.copytree(array / "1", array / "again")
    with pytest.raises(ConfigError, match=r"its seed 1 is in .*array/1 too"):
        finished.read([array], ARRAYS, how="compared")


def test_a_part_that_is_not_finished_is_named(array, two_seeds):
    (array / "1" / "summary.json").unlink()
    words = r"^\S*array/1 \(it is not finished: its command resumes it\) cannot be compared: leave it out$"
    with pytest.raises(ConfigError, match=words):
        finished.read([two_seeds[0], array], ARRAYS, how="compared")


def test_an_array_and_a_part_of_it_are_not_two_runs(array):
    with pytest.raises(ConfigError, match=r"array/0 is named twice"):
        finished.read([array, array / "0"], ARRAYS, how="compared")


def test_an_array_of_which_a_part_has_no_predictions_has_none(array):
    (array / "1" / "predictions.npz").unlink()
    (found,) = finished.read([array], ARRAYS, how="compared")
    assert found.outcomes == {}
