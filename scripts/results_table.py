"""Writes the tables of results in README.md (some) and docs/results.md (all) from the runs' summary.json files.

    python scripts/results_table.py            # from experiments/results/*/summary.json
    python scripts/results_table.py --check    # changes nothing; exit code 1 if a page differs from them

experiments/results/NAME/summary.json is what a run of configs/NAME.py wrote.
"""

import argparse
import json
import sys
from pathlib import Path

import readme_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results"
FIRST = ("fast", "cnn", "accurate", "crnn", "digits")  # in README
ORDER = ("cnn", "fast", "accurate", "record", "linear", "mlp", "scratch", "lenet", "resnet", "rnn", "vit", "crnn")


def row(name: str, summary: dict | None) -> str:
    """Returns the table's line of a config."""
    link = f"[{name}](../configs/{name}.py)"
    if summary is None:
        command = f"`python -m hwr_jax.main --config=configs/{name}.py`"
        return f"| {link} | not measured yet: needs a GPU | | | | | {command} |"
    accuracy, seeds = summary["test"]["accuracy"], summary["seeds"]
    each = summary["train_seconds"] / len(seeds)
    command = f"`python -m hwr_jax.main --config=configs/{name}.py --config.seeds={len(seeds)}`"
    value = f"{100 * accuracy['mean']:.2f} %"
    if accuracy["ci95"]:
        value += " ({:.2f} to {:.2f})".format(*(100 * v for v in accuracy["ci95"]))
    if "cer" in summary["test"]:
        value += f" of whole strings, character error rate {100 * summary['test']['cer']['mean']:.2f} %"
    cells = (
        summary["dataset"],
        value,
        len(seeds),
        f"{summary['parameters']:,}",
        summary["epochs"],
        f"{each:.1f} s",
        command,
    )
    return "| " + " | ".join(map(str, (f"{link} on {cells[0]}", *cells[1:]))) + " |"


def short(name: str, summary: dict) -> str:
    """Returns the line of a config in README's table."""
    of_test, seeds = summary["test"]["accuracy"], len(summary["seeds"])
    value = "{:.2f} % ({:.2f} to {:.2f})".format(*(100 * v for v in (of_test["mean"], *of_test["ci95"])))
    if "cer" in summary["test"]:
        value += " of whole strings"
    cells = (
        summary["dataset"],
        value,
        seeds,
        f"{summary['parameters']:,}",
        f"{summary['train_seconds'] / seeds:.1f} s",
    )
    return "| " + " | ".join(map(str, (f"[{name}](configs/{name}.py)", *cells))) + " |"


def tables() -> tuple[list[str], list[str]]:
    """Returns the lines of README's table, and of that of docs/results.md."""
    found = {path.parent.name: json.loads(path.read_text()) for path in RESULTS.glob("*/summary.json")}
    names = [*ORDER, *sorted(set(found) - set(ORDER))]
    some = ["| config | data | test accuracy | seeds | parameters | training, one seed |", "|---|---|---|---|---|---|"]
    lines = [
        "| config | test accuracy | seeds | parameters | epochs | training, one seed | command |",
        "|---|---|---|---|---|---|---|",
    ]
    return (
        some + [short(name, found[name]) for name in FIRST],
        lines + [row(name, found.get(name)) for name in names if name in found or name == "record"],
    )


def write(*, check: bool) -> int:
    """Writes both tables, or with `check` only looks; returns the exit code of `readme_table.put`."""
    (some, every), script = tables(), Path(__file__).name
    of_readme = readme_table.put("results", script, some, check=check)
    return max(of_readme, readme_table.put("results", script, every, check=check, page=ROOT / "docs" / "results.md"))


def main() -> int:
    """Writes or checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a page would change")
    args = parser.parse_args()
    return write(check=args.check)


if __name__ == "__main__":
    sys.exit(main())
