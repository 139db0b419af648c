"""README's performance table is the one that its benchmark.json files give."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_performance_table_of_the_readme_is_up_to_date():
    results = sorted((ROOT / "experiments" / "benchmarks").glob("*.json"))
    assert results
    line = [sys.executable, str(ROOT / "scripts" / "performance_table.py"), "--check", *map(str, results)]
    assert subprocess.run(line, check=False).returncode == 0, "run scripts/performance_table.py without --check"
