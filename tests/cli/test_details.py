"""The tables of `evaluate` in detail, and the last lines of a run."""

import io
from pathlib import Path

import numpy as np
from rich.console import Console

from hwr_jax.cli import console, details
from hwr_jax.tasks import metrics
from hwr_jax.workdir import logs


def rows(table):
    shown = io.StringIO()
    Console(file=shown, width=200).print(table)
    lines = [[cell.strip() for cell in line.strip().strip("│").split("│")] for line in shown.getvalue().splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) > 1}


def test_the_table_of_the_classes_has_their_scores_and_what_they_are_mistaken_for():
    label = np.repeat([0, 1, 3], [4, 2, 10])  # no example of the third and fifth class
    pred = np.array([0, 0, 0, 1, 1, 1, *[3] * 5, 0, 0, 0, 2, 2])
    confusion = metrics.confusion_matrix(label, pred, 5)
    scores = {"per_class": metrics.per_class(confusion), "confusion": confusion.tolist()}
    assert rows(details.table(scores, ["a", "b", "c", "d", "e"])) == {
        "a": ["4", "50.00 %", "75.00 %", "60.00 %", "b 25.00 %"],
        "b": ["2", "66.67 %", "100.00 %", "80.00 %", ""],
        "c": ["0", "0.00 %", "", "0.00 %", ""],
        "d": ["10", "100.00 %", "50.00 %", "66.67 %", "a 30.00 %, c 20.00 %"],
    }


def test_strings_have_a_row_for_each_length():
    scores = {"per_length": {"length": [3.0, 4.0], "examples": [1000.0, 2.0], "accuracy": [0.5, 1.0]}}
    assert rows(details.table(scores, [])) == {"3": ["1,000", "50.00 %"], "4": ["2", "100.00 %"]}


def test_evaluate_prints_the_table_of_the_classes(two_seeds, command):
    done = command("evaluate", f"--workdir={two_seeds[0]}")
    assert done.returncode == 0, done.stderr
    assert "most often read as" in done.stdout
    shown = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [name for name in shown if name.isdigit()] == list("0123456789")


def test_a_run_says_that_it_compiles_and_ends_with_what_to_do_next(two_seeds):
    folder, output = two_seeds
    lines = output.splitlines()
    compiling = next(i for i, line in enumerate(lines) if line.startswith("compiling: "))
    assert "run folder" in lines[compiling - 1]
    assert lines[compiling + 1].split()[:2] == ["epoch", "train"]
    assert lines[-5:-1] == console.next_lines(folder)
    assert lines[-1].startswith('{"dataset"')
    assert "--workdir='a b' " in console.next_lines(Path("a b"))[2]


def test_images_per_second_are_in_the_event_files_and_in_no_metrics(two_seeds, tmp_path):
    assert "images_per_second" not in (two_seeds[0] / "metrics.jsonl").read_text()
    for events in (two_seeds[0] / "tensorboard").rglob("events*"):
        assert b"train/images_per_second" in events.read_bytes()
    board = logs.TensorBoard(tmp_path / "new", [0, 1], "{}", None)
    board.speed(5, 1234.0)
    board.close()
    assert all(b"images_per_second" in path.read_bytes() for path in (tmp_path / "new").rglob("events*"))
