"""The fault injection itself, with a few trials of its quicker rows: scripts/torture.py has them all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = str(ROOT / "scripts" / "torture.py")


def torture(caches, *flags):
    env = {**os.environ, **caches}
    return subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True, env=env, timeout=600)


@pytest.mark.exhaustive
def test_a_few_trials_pass_and_are_not_repeated(caches, tmp_path):
    results = tmp_path / "results.jsonl"
    flags = (f"--results={results}", "--rows=R1,R2,R11,R15", "--share=0.01")
    done = torture(caches, *flags)
    assert done.returncode == 0, done.stdout
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["row"] for line in lines] == ["R1", *["R2"] * 10, "R11", "R15"]
    again = torture(caches, *flags)
    assert again.stdout.splitlines()[0].startswith("row ")
    assert results.read_text().count("\n") == 13


def test_an_unknown_row_gives_an_error(caches, tmp_path):
    done = torture(caches, f"--results={tmp_path / 'x'}", "--rows=R1,R99")
    assert done.returncode == 2
    assert "--rows=R99 is not known: use some of R1, R2, " in done.stderr


def test_the_committed_results_cover_every_row_and_all_passed():
    lines = [json.loads(line) for line in (ROOT / "experiments" / "torture.jsonl").read_text().splitlines()]
    assert {line["row"] for line in lines} == {*(f"R{i}" for i in range(1, 18)), "R19"}
    assert [line for line in lines if not line["ok"]] == []
