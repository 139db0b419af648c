"""Writes the tables of experiments/README.md: every study and search, its question, and its report's verdict.

python scripts/studies_table.py            # from experiments/*/study.py and search.py, and their results
python scripts/studies_table.py --check    # changes nothing; exit code 1 if the page is out of date
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import readme_table

from hwr_jax.studies import comparison, live, results, spec, verdict
from hwr_jax.tuning import spec as search_spec

EXPERIMENTS = ROOT / "experiments"


def study_row(path: Path) -> str:
    """Returns the row of a study."""
    study = spec.load(path)
    records = results.read(study, path.parent)
    size = f"{len(study.variants)} x {study.seeds}"
    if not records:
        return f"| [{study.name}]({study.name}/study.py) | {study.question} | {size} | | not run yet |"
    rows = comparison.compare(study, records)
    cost = live.duration(sum(r.get("seconds", 0.0) + r.get("compile_seconds", 0.0) for r in records))
    link = f"[{study.name}]({study.name}/report.md)"
    notes = " ".join(words.removeprefix("> **Note.** ") for words in verdict.warnings(study, records, rows))
    answer = " ".join([*verdict.answers(study, records, rows), *([f"*{notes}*"] if notes else [])])
    return f"| {link} | {study.question} | {size} | {cost} | {answer} |"


def search_row(path: Path) -> str:
    """Returns the row of a search; the second paragraph of its report is the verdict."""
    search = search_spec.load(path)
    done = (path.parent / "report.md").exists()
    target = "report.md" if done else "search.py"
    found = (path.parent / "report.md").read_text().split("\n\n")[2] if done else "not run yet"
    return f"| [{search.name}]({search.name}/{target}) | {search.question} | {found} |"


def main() -> int:
    """Writes or checks both tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check, page = parser.parse_args().check, EXPERIMENTS / "README.md"
    head = ["| study | question | variants x seeds | cost | verdict |", "|---|---|---|---|---|"]
    studies = [*head, *map(study_row, sorted(EXPERIMENTS.glob("*/study.py")))]
    head = ["| search | question | found |", "|---|---|---|"]
    searches = [*head, *map(search_row, sorted(EXPERIMENTS.glob("*/search.py")))]
    script = "studies_table.py"
    return max(
        readme_table.put("studies", script, studies, check=check, page=page),
        readme_table.put("searches", script, searches, check=check, page=page),
    )


if __name__ == "__main__":
    sys.exit(main())
