"""Writes the two tables of docs/performance.md from benchmark.json files, between their markers.

python scripts/performance_table.py experiments/benchmarks/*.json           # writes docs/performance.md
python scripts/performance_table.py --check experiments/benchmarks/*.json   # fails if the page differs from them
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

import readme_table

TWIN = {"training": "a step of training", "inference 1": "1 image", "inference 32": "32", "inference 1024": "1,024"}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def rows(results: dict) -> list[str]:
    """Returns the first table's lines for one benchmark.json: all parts but the twin."""
    parts, where = results["parts"], machine(results["machine"])
    lines = []

    def row(what: str, value: str) -> None:
        lines.append(f"| {what} | {value} | {where} |")

    name = Path(results["config"]).stem
    if found := parts.get("accuracy"):
        accuracy = found["accuracy"]
        row(
            f"`{name}`: {100 * accuracy['mean']:.2f} % on {found['dataset']}, {len(found['seeds'])} seeds; a seed",
            f"{found['seconds_per_seed']:.2f} s in the steps",
        )
    if found := parts.get("training"):
        row(
            f"`{name}`: training",
            f"{found['images_per_second']:,.0f} images/s, {found['gflops']:.0f} GFLOP/s, "
            f"{100 * found['share_of_matmul_peak']:.0f} % of the best matrix product; "
            f"{found['peak_memory_gb']:.2f} GB; compiled in {found['compile_seconds']:.1f} s",
        )
    for peer, found in parts.get("peers", {}).items():
        ratio = found["ratio"]
        row(
            f"`{name}` against `{peer}`, {found['pairs']} pairs in turns",
            f"{ratio['median']:.3f} of its time ({ratio['lowest']:.3f} to {ratio['highest']:.3f}); "
            f"accuracies {100 * median(found['ours_accuracy']):.2f} % "
            f"and {100 * median(found['theirs_accuracy']):.2f} %",
        )
    for what, found in parts.get("pytorch", {}).items():
        kind, which = what.split()
        kind = f"inference, batch {which}" if kind == "inference" else f"{which} convolution with gradients, in a loop"
        ratio = found["ratio"]
        row(
            f"{kind}, against PyTorch, {found['pairs']} pairs in turns",
            f"{1e3 * median(found['ours_s']):.2f} ms against {1e3 * median(found['theirs_s']):.2f}: "
            f"{ratio['median']:.2f} of its time ({ratio['lowest']:.2f} to {ratio['highest']:.2f})",
        )
    for which, found in parts.get("convolution", {}).items():
        ours, native = found.get("compiled") or found["patches"], found["native"]
        row(
            f"{which} convolution with gradients, batch 256",
            f"{1e3 * ours['alone_s']:.1f} ms, in a loop {1e3 * ours['in_loop_s']:.1f} ms; "
            f"XLA's own {1e3 * native['alone_s']:.1f} and {1e3 * native['in_loop_s']:.1f} ms",
        )
    return lines


def twin(results: dict) -> list[str]:
    """Returns the second table's line for one benchmark.json, if it has the part."""
    if not (parts := results["parts"].get("twin")):
        return []
    cells = [f"`{Path(results['config']).stem}`", machine(results["machine"])]
    for what in TWIN:
        ratio = parts[what]["ratio"]
        cells.append(
            f"{1e3 * median(parts[what]['ours_s']):.2f} ms: **{ratio['median']:.2f}** "
            f"({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
        )
    return [f"| {' | '.join(cells)} |"]


def machine(facts: dict) -> str:
    """Returns the machine in a few words; older records do not name the processor."""
    kinds = sorted(set(facts["devices"]))
    if kinds != ["cpu"]:
        return f"{len(facts['devices'])} x {', '.join(kinds)}"
    return ", ".join(filter(None, (f"{facts['cpu_count']} CPU cores", facts.get("processor"))))


def main() -> int:
    """Writes or checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="benchmark.json files")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if the page would change")
    args = parser.parse_args()
    found = [json.loads(path.read_text()) for path in args.results]
    tables = {
        "performance": ["| what | measured | on |", "|---|---|---|", *(row for one in found for row in rows(one))],
        "twins": [
            f"| network | on | {' | '.join(TWIN.values())} |",
            f"|---|---|{'---|' * len(TWIN)}",
            *(row for one in sorted(found, key=_order) for row in twin(one)),
        ],
    }
    put = readme_table.put
    return max(put(name, Path(__file__).name, of, check=args.check, page=PAGE) for name, of in tables.items())


def _order(results: dict) -> tuple:
    """The twins' order: processors before accelerators, then by machine and network."""
    facts = results["machine"]
    return set(facts["devices"]) != {"cpu"}, machine(facts), results["config"]


if __name__ == "__main__":
    sys.exit(main())
