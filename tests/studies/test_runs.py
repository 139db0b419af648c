"""Finished runs as records: read from folders, refused in one sentence where they cannot be compared."""

import json
import shutil

import numpy as np
import pytest

from hwr_jax.core import stats
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.studies import comparison, runs, side_by_side
from hwr_jax.studies.metric import METRICS

ACCURACY = METRICS["accuracy"]


@pytest.fixture
def two(two_seeds, tmp_path, monkeypatch):
    """Returns two(name, ...): copies of a small run of seeds 0 and 1, beside each other in the current folder."""
    monkeypatch.chdir(tmp_path)

    def copy(*names):
        for name in names:
            shutil.copytree(two_seeds[0], tmp_path / name, ignore=shutil.ignore_patterns("checkpoints", "figures"))
        return list(names)

    return copy


def change(path, **values):
    """Changes values of a JSON file, by flat key."""
    content = json.loads(path.read_text())
    for key, value in values.items():
        *groups, last = key.split("__")
        inner = content
        for group in groups:
            inner = inner[group]
        inner[last] = value
    path.write_text(json.dumps(content))


def break_images(folder, count):
    """Makes the first `count` images that every seed reads correctly wrong, in predictions and in the summary."""
    with np.load(folder / "predictions.npz") as archive:
        kept = dict(archive)
    label, pred = kept["label"], kept["pred"]
    rows = np.flatnonzero((pred == label).all(0))[:count]
    pred[:, rows] = (label[rows] + 1) % 10
    np.savez(folder / "predictions.npz", **kept)
    accuracy = (pred == label).mean(1).tolist()
    change(folder / "summary.json", test__accuracy=stats.summarise(accuracy))


def test_a_run_becomes_a_record_for_each_seed_with_its_scores_and_errors(two):
    (run,) = runs.read(two("a"), ACCURACY)
    found = runs.records(run)
    assert [r["seed"] for r in found] == [0, 1]
    for i, record in enumerate(found):
        assert record["test"]["accuracy"] == run.summary["test"]["accuracy"]["per_seed"][i]
        assert len(record["test_errors"]) == record["test"]["error_count"]
        assert record["validation"]["loss"] == run.summary["validation"]["loss"]["per_seed"][i]


def test_a_run_that_reads_twenty_images_less_is_worse_on_those_over_images_and_over_seeds(two, tmp_path):
    names = two("a", "b", "c")
    break_images(tmp_path / "b", 20)
    change(tmp_path / "b" / "config.json", optim__learning_rate=0.5, data__manual_dir="/elsewhere", seed=3)
    found = side_by_side.compare(runs.read(names, ACCURACY), ACCURACY)
    worse, same = found["differences"]
    assert worse["over_images"]["mean"] == pytest.approx(-20 / 500)
    assert (worse["over_images"]["gained"], worse["over_images"]["lost"]) == (0, 20)
    assert worse["over_images"]["p_holm"] == pytest.approx(2 * worse["over_images"]["p"])
    assert worse["over_images"]["p_holm"] < 0.001
    assert worse["over_seeds"]["mean"] == pytest.approx(-20 / 500)
    assert worse["over_seeds"]["p"] == 0.5  # of two seeds
    assert (same["over_images"]["p"], same["over_seeds"]["p"], same["over_seeds"]["mean"]) == (1.0, 1.0, 0.0)
    assert found["config"] == {"optim.learning_rate": [found["config"]["optim.learning_rate"][0], 0.5, 0.002]}
    assert found["notes"] == ["With 2 seeds no difference can be significant over the seeds: 7 are needed."]
    assert found["runs"][1]["test"]["ci95"] is not None
    json.dumps(found, allow_nan=False)


def test_the_run_with_too_few_seeds_is_named_beside_one_that_has_enough():
    def records(seeds, accuracy):
        scores = [accuracy + 0.001 * (seed % 3) for seed in range(seeds)]
        return [{"seed": i, "test": {"accuracy": v}, "validation": {"accuracy": v}} for i, v in enumerate(scores)]

    of_runs = {"first": records(10, 0.9), "many": records(10, 0.95), "few": records(5, 0.95)}
    found = comparison.against(ACCURACY, of_runs, [("many", "first"), ("few", "first")])
    assert found["many", "first"].significant
    assert side_by_side._too_few(found) == [
        "With 5 seeds no difference of few can be significant over the seeds: 7 are needed."
    ]
    assert side_by_side._too_few({names: pair for names, pair in found.items() if names[0] == "many"}) == []


def test_runs_without_a_common_seed_are_paired_by_image_alone(two, tmp_path):
    names = two("a", "b")
    with np.load(tmp_path / "b" / "predictions.npz") as archive:
        np.savez(tmp_path / "b" / "predictions.npz", **{**archive, "seeds": np.array([7, 8])})
    change(tmp_path / "b" / "summary.json", seeds=[7, 8])
    (difference,) = side_by_side.compare(runs.read(names, ACCURACY), ACCURACY)["differences"]
    assert difference["over_seeds"] is None
    assert not difference["over_images"]["paired_by_seed"]
    found = side_by_side.compare(runs.read([*names, *two("c")], METRICS["loss"]), METRICS["loss"])
    assert "Without a seed in common with a, nothing is compared: b." in found["notes"]
    assert [row["over_seeds"] is None for row in found["differences"]] == [True, False]


def test_seeds_that_not_both_runs_have_are_named(two, tmp_path):
    names = two("a", "b")
    change(tmp_path / "b" / "summary.json", seeds=[0, 7])
    (tmp_path / "b" / "predictions.npz").unlink()
    found = side_by_side.compare(runs.read(names, ACCURACY), ACCURACY)
    assert found["differences"][0]["over_seeds"]["seeds"] == 1
    assert "b is compared with a by seed 0 alone: seed 7 is not in a, seed 1 is not in b." in found["notes"]


def test_without_predictions_the_seeds_alone_are_compared_and_a_note_says_so(two, tmp_path):
    names = two("a", "b")
    (tmp_path / "b" / "predictions.npz").unlink()
    found = side_by_side.compare(runs.read(names, ACCURACY), ACCURACY)
    assert found["differences"][0]["over_images"] is None
    assert found["differences"][0]["over_seeds"]["seeds"] == 2
    assert found["runs"][1]["test_images_error"] is None
    assert "Without predictions.npz nothing is compared image by image: b." in found["notes"]


def test_other_code_and_other_devices_are_named(two, tmp_path):
    names = two("a", "b")
    change(tmp_path / "b" / "environment.json", code__sha256="0" * 64, devices=["TPU v9"])
    notes = runs.notes(runs.read(names, ACCURACY))
    assert notes == [
        "The runs were trained by 2 versions of the code.",
        "The runs were trained on several kinds of devices: compare no seconds.",
    ]


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("environment.json", {"dataset__name": "mnist"}, "another data set: mnist, not digits"),
        ("environment.json", {"dataset__sha256": "0" * 64}, "another content of digits: SHA-256 000000000000, not "),
        ("environment.json", {"dataset__examples__validation": 150}, "another validation split: 150 images, not 200"),
        ("environment.json", {"dataset__classes": list("9876543210")}, "other test labels"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(two, tmp_path, file, changes, words):
    names = two("a", "b", "c")
    change(tmp_path / "b" / file, **changes)
    with pytest.raises(ConfigError, match="cannot be compared with a: leave it out") as refused:
        runs.read(names, ACCURACY)
    assert str(refused.value).startswith(f"b ({words}")


def test_all_that_is_no_finished_run_is_named_in_one_sentence(two, tmp_path):
    names = two("a", "b")
    (tmp_path / "b" / "summary.json").unlink()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "results.jsonl").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    two("export")
    (tmp_path / "export" / "summary.json").unlink()
    change(tmp_path / "export" / "environment.json", exported={})
    with pytest.raises(ConfigError, match="leave them out") as refused:
        runs.read([*names, "study", "empty", "file", "export", "none"], ACCURACY)
    assert str(refused.value) == (
        "b (it is not finished: its command resumes it), study (it is a study, which report.md compares), empty (it is "
        "not a run folder: it has no config.json), file (it is a file), export (it is an export, which has no "
        "results), none (it does not exist) cannot be compared: leave them out"
    )


def test_a_run_is_named_once_and_its_metric_is_known(two):
    names = two("a")
    with pytest.raises(ConfigError, match="a/ is named twice: name each run once"):
        runs.read([*names, "a/"], ACCURACY)
    with pytest.raises(ConfigError, match="--metric=cer is not known of a: it has accuracy, "):
        runs.read(names, METRICS["cer"])


def test_damaged_records_are_named(two, tmp_path):
    two("a", "b", "c")
    (tmp_path / "a" / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(RunFolderError, match=r"a/predictions.npz is not a whole .npz archive"):
        runs.read(["a"], ACCURACY)
    change(tmp_path / "b" / "summary.json", seeds=[0, 2])
    with pytest.raises(RunFolderError, match=r"predictions.npz does not belong to summary.json"):
        runs.read(["b"], ACCURACY)
    change(tmp_path / "c" / "summary.json", validation__loss__per_seed=[1.0])
    with pytest.raises(RunFolderError, match="its validation does not have 2 values, one per seed"):
        runs.read(["c"], ACCURACY)
