"""`python -m hwr_jax.compare` as a process: its tables, its CSV and JSON, its files, its refusals."""

import csv
import io
import json
import shutil

import pytest

from hwr_jax import compare
from hwr_jax.studies.metric import METRICS


@pytest.fixture(scope="module")
def place(two_seeds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    for name in ("first", "=second"):
        shutil.copytree(two_seeds[0], folder / name, ignore=shutil.ignore_patterns("checkpoints", "figures"))
    return folder


def test_it_prints_the_runs_and_their_difference(place, command, two_seeds):
    done = command("compare", "first", "=second", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads((two_seeds[0] / "summary.json").read_text())
    accuracy = summary["test"]["accuracy"]
    assert f"{100 * accuracy['mean']:.3f} │ {' to '.join(f'{100 * x:.3f}' for x in accuracy['ci95'])}" in done.stdout
    assert "test accuracy minus that of first, points" in done.stdout
    assert "+0.000" in done.stdout
    assert "McNemar's test of one seed" in done.stdout
    assert "The configs are the same but for the seeds." in done.stdout
    assert "Note: With 2 seeds no difference can be significant over the seeds: 6 are needed." in done.stdout


def test_csv_and_json_are_the_same_numbers_and_out_writes_both(place, command, tmp_path):
    done = command("compare", "--format=csv", f"--out={tmp_path / 'out'}", "first", "=second", cwd=place)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["run"] for row in rows] == ["first", "'=second"]  # a spreadsheet would compute the second
    found = json.loads(command("compare", "--format=json", "first", "=second", cwd=place).stdout)
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == found
    assert (tmp_path / "out" / "comparison.csv").read_text() == done.stdout
    assert float(rows[0]["test_accuracy"]) == found["runs"][0]["test"]["mean"]
    assert [float(rows[0][f"test_accuracy_{end}"]) for end in ("low", "high")] == found["runs"][0]["test"]["ci95"]
    assert rows[0]["seeds"] == "0 1"
    assert rows[0]["over_images"] == rows[0]["over_seeds_p"] == ""
    assert float(rows[1]["over_images_p_holm"]) == found["differences"][0]["over_images"]["p_holm"] == 1.0


def test_another_metric_is_compared_over_the_seeds(place, command):
    done = command("compare", "--metric=loss", "first", "=second", cwd=place)
    assert "test loss minus that of first, nats" in done.stdout
    assert "over images" not in done.stdout
    assert "Differences are a run minus first, of the common seeds;" in done.stdout
    for word in ("McNemar", "±", "better"):  # of columns that are not shown
        assert word not in done.stdout


def test_one_run_alone_is_a_table_without_differences(place, command):
    done = command("compare", "first", cwd=place)
    assert done.returncode == 0
    assert "Intervals over seeds are Student's, 95 %; ± is two standard errors, by the choice of images." in done.stdout
    for word in ("minus", "McNemar", "Holm"):
        assert word not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the run folders to compare, such as runs/cnn runs/nesterov"),
        (["first", "none"], "none (it does not exist) cannot be compared: leave it out"),
        (["--metric=f1", "first"], "--metric=f1 is not possible: use one of accuracy, loss, cer, ece, f1_macro"),
        (["--metric=cer", "first"], "--metric=cer is not known of first: it has "),
    ],
)
def test_a_wrong_command_line_is_one_sentence(place, command, arguments, words):
    done = command("compare", *arguments, cwd=place)
    assert done.returncode == 64
    assert done.stderr.startswith(f"hwr_jax: {words}")
    assert len(done.stderr.splitlines()) == 1


def test_the_metrics_of_the_flag_are_those_of_studies():
    assert list(METRICS) == compare.METRICS
