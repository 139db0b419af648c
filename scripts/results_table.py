"""Writes the tables of results in README.md (some) and docs/results.md (all) from the runs' summary.json files.

    python scripts/results_table.py            # from experiments/results/*/summary.json
    python scripts/results_table.py --check    # changes nothing; exit code 1 if a page differs from them

experiments/results/NAME/summary.json is what a run of configs/NAME.py wrote on a CPU, summary-h200.json on a GPU.
"""

import argparse
import json
import sys
from pathlib import Path

import readme_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results"
FIRST = ("fast99", "fast995", "cnn", "accurate", "crnn", "digits")  # in README
ORDER = (
    "cnn", "fast99", "fast995", "fast", "accurate", "record",
    "linear", "mlp", "scratch", "lenet", "resnet", "rnn", "vit", "crnn",
)  # fmt: skip


def row(name: str, summary: dict | None) -> str:
    """Returns the table's line of a config."""
    link = f"[{name}](../configs/{name}.py)"
    if summary is None:
        command = f"`python -m hwr_jax.main --config=configs/{name}.py`"
        return f"| {link} | not measured: ten seeds would take 23 minutes of an H200 | | | | | {command} |"
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
    value = "{:.2f} % ({:.2f} to {:.2f})".format(*percent(of_test))
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


def on_gpu() -> list[str]:
    """Returns the lines of the table that compares a GPU's accuracies with those of the CPU."""
    lines = [
        "| config | seeds | test accuracy on an H200 | on a CPU | in the CPU's interval |",
        "|---|---|---|---|---|",
    ]
    found = {path.parent.name: path for path in RESULTS.glob("*/summary-h200.json")}
    for name in sorted(found, key=lambda name: (*ORDER, name).index(name)):
        path = found[name]
        gpu, cpu = (json.loads(p.read_text())["test"]["accuracy"] for p in (path, path.with_name("summary.json")))
        (low, high), values = cpu["ci95"], ["{:.2f} % ({:.2f} to {:.2f})".format(*percent(a)) for a in (gpu, cpu)]
        inside = "yes" if low <= gpu["mean"] <= high else "no"
        cells = (f"[{name}](../configs/{name}.py)", len(gpu["per_seed"]), *values, inside)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def percent(accuracy: dict) -> list[float]:
    """Returns an accuracy's mean and the ends of its interval, in percent."""
    return [100 * v for v in (accuracy["mean"], *accuracy["ci95"])]


def write(*, check: bool) -> int:
    """Writes the tables, or with `check` only looks; returns the exit code of `readme_table.put`."""
    (some, every), script, page = tables(), Path(__file__).name, ROOT / "docs" / "results.md"
    codes = [readme_table.put("results", script, some, check=check)]
    codes += [
        readme_table.put(name, script, lines, check=check, page=page)
        for name, lines in (("results", every), ("results on a GPU", on_gpu()))
    ]
    return max(codes)


def main() -> int:
    """Writes or checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a page would change")
    args = parser.parse_args()
    return write(check=args.check)


if __name__ == "__main__":
    sys.exit(main())
