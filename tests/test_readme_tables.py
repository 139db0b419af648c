"""The tables of README.md and docs/ are the ones that the committed results give."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def up_to_date(script, *results):
    line = [sys.executable, str(ROOT / "scripts" / script), "--check", *map(str, results)]
    return subprocess.run(line, check=False).returncode == 0


def test_the_performance_table_is_up_to_date():
    results = sorted((ROOT / "experiments" / "benchmarks").glob("*.json"))
    assert results
    assert up_to_date("performance_table.py", *results), "run scripts/performance_table.py without --check"


def test_the_tables_of_results_are_up_to_date_and_of_every_config_that_was_measured():
    results = sorted((ROOT / "experiments" / "results").glob("*/summary.json"))
    assert len(results) > 5
    assert up_to_date("results_table.py"), "run scripts/results_table.py without --check"
    for path in results:
        assert (ROOT / "configs" / f"{path.parent.name}.py").is_file()
        assert len(json.loads(path.read_text())["seeds"]) >= 3


def test_the_table_of_the_exports_is_up_to_date_and_the_default_model_is_small_and_fast():
    assert up_to_date("export_table.py"), "run scripts/export_table.py"
    figures = json.loads((ROOT / "experiments" / "exports.json").read_text())
    assert set(figures) == {"linear", "mlp", "lenet", "cnn", "resnet", "vit", "rnn", "crnn", "shipped"}
    cnn = figures["cnn"]["formats"]
    assert cnn["onnx"]["bytes"] <= 1_000_000
    assert cnn["onnx"]["ms"] <= 0.15
    assert cnn["onnx, int8"]["bytes"] <= 300_000
    for of in figures.values():
        for column, found in of["formats"].items():
            assert "refused" in found or found["largest_difference"] <= 1e-5 or found["lost_points"] <= 0.05, column


def test_the_tables_of_the_docs_are_up_to_date():
    assert up_to_date("scaling.py", "--tables"), "run scripts/scaling.py --tables"
    results = f"--results={ROOT / 'experiments' / 'torture.jsonl'}"
    assert up_to_date("torture.py", "--table", results), "run scripts/torture.py --table"
