"""The table of results trained again: each row is compared with its record, and nothing is hidden."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def reproduce():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield importlib.import_module("reproduce")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def summary(*accuracies, state="a", **more):
    from hwr_jax.core import stats

    facts = {"dataset": "digits", "seeds": list(range(len(accuracies))), "epochs": 3, "state_sha256": state}
    return {**facts, "test": {"accuracy": stats.summarise(list(accuracies), within=(0.0, 1.0))}, **more}


def test_the_same_final_states_are_the_same_bits(reproduce):
    row = reproduce.compare("x", summary(0.97, 0.98, 0.99), summary(0.97, 0.98, 0.99))
    assert (row.verdict, row.difference, row.changed) == ("same bits", 0.0, [])
    assert reproduce.sentence(row).startswith("x: same bits: 98.000 %, recorded 98.000 % (95.516 to 100.000)")


def test_a_record_without_a_digest_of_its_states_is_never_the_same_bits(reproduce):
    row = reproduce.compare("x", summary(0.97, 0.98, 0.99, state=None), summary(0.97, 0.98, 0.99, state=None))
    assert row.verdict == "within the interval"


def test_a_mean_outside_of_the_recorded_interval_is_told_with_its_difference(reproduce):
    row = reproduce.compare("x", summary(0.979, 0.98, 0.981), summary(0.985, 0.986, 0.987, state="b", epochs=4))
    assert row.verdict == "outside"
    assert row.ci95[0] < row.difference < row.ci95[1]
    assert row.ci95[0] > 0
    text = reproduce.sentence(row)
    assert "difference +0.600 points (+0.3" in text
    assert text.endswith("; epochs: 3 -> 4")


def test_seeds_that_all_agree_have_a_difference_without_an_interval(reproduce):
    row = reproduce.compare("x", summary(0.98, 0.98), summary(0.97, 0.97, state="b"))
    assert row.ci95 == pytest.approx((-0.01, -0.01))


def test_the_shortest_row_is_trained_first_and_an_unknown_one_refused(reproduce, tmp_path):
    for name, seconds in (("long", 9.0), ("short", 1.0), ("middle", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps({"train_seconds": seconds}))
    assert reproduce.names("", tmp_path) == ["short", "middle", "long"]
    assert reproduce.names("long,short", tmp_path) == ["short", "long"]
    with pytest.raises(SystemExit, match=r"'cnn' has no record in .*: use long, middle, short"):
        reproduce.names("short,cnn", tmp_path)


def of_two_seeds(recorded):
    """A record cut down to its first two seeds, which are trained in less time."""
    accuracy = recorded["test"]["accuracy"]["per_seed"][:2]
    return recorded | summary(*accuracy, state=None, **{key: recorded[key] for key in ("dataset", "epochs")})


@pytest.mark.slow
def test_a_row_of_the_table_is_reproduced_and_a_finished_one_is_not_trained_again(reproduce, caches, tmp_path):
    recorded = of_two_seeds(json.loads((ROOT / "experiments" / "results" / "digits" / "summary.json").read_text()))
    (tmp_path / "records" / "digits").mkdir(parents=True)
    (tmp_path / "records" / "digits" / "summary.json").write_text(json.dumps(recorded))
    line = [sys.executable, "scripts/reproduce.py", f"--results={tmp_path / 'records'}", f"--runs={tmp_path}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=ROOT, env=caches)
    assert done.returncode in (0, 1), done.stderr
    row = reproduce.compare("digits", recorded, json.loads((tmp_path / "digits" / "summary.json").read_text()))
    assert row.changed == []
    assert row.verdict != "outside" or row.ci95[0] <= 0 <= row.ci95[1]  # by chance, on another processor
    assert done.stdout == reproduce.sentence(row) + "\n"
    again = subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=ROOT, env=caches)
    assert again.stdout == done.stdout
    assert "finished: nothing was trained" in again.stderr
