"""Whether a run can be reproduced: what changed in its environment, and how far its numbers are from a rerun's.

Reads run folders; trains nothing.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.config.configs import difference
from hwr_jax.workdir import logs, machine, run_folder

STANDARD_ERRORS = 3.0  # at most between two accuracies that count as equal


class Verdict(NamedTuple):
    """The result of comparing a run with its rerun."""

    reproduced: bool
    identical: bool
    sentence: str
    largest: dict[str, float]  # per metric, the largest absolute difference over epochs, splits and seeds
    state: str  # 'the same', 'different' or 'not recorded': the digests of the final state


def surroundings(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lists what differs between two environments (see `run_folder.environment`): 'key: old -> new'."""
    recorded = machine.compared(old, new)
    there, here = ({key: env.get(key) for key in recorded} for env in (old, new))
    there["code"], here["code"] = ({k: run_folder.codes(env)[0][k] for k in run_folder.CODE} for env in (old, new))
    for key in ("config_sha256", "init_from"):
        if key in old:
            there[key], here[key] = old[key], new.get(key)
    resumed = [f"resumed at step {e['step']}: {change}" for e in old.get("resumed", []) for change in e["changed"]]
    return difference(there, here) + resumed


def last_epoch(folder: Path) -> int:
    """Returns the last epoch that a run has recorded; 0: none."""
    lines = logs.read_metrics(folder / "metrics.jsonl")
    return max((line["epoch"] for line in lines), default=0)


def compare(there: Path, here: Path, *, epochs: int, differences: list[str]) -> Verdict:
    """Compares the records of a run with those of its rerun.

    Without `differences`, only identical bits count as reproduced. With them, the accuracies of the last epoch may
    differ by chance: by up to 3 standard errors, as two samples of the same probability do.

    Args:
      there: the run folder.
      here: the folder of the rerun.
      epochs: compare this many of the first epochs, and the test set if both have evaluated it.
      differences: from `surroundings`.
    """
    old, new = (_lines(folder, epochs) for folder in (there, here))
    both = [key for key in old if key in new]
    missing = [key for key in old if key not in new and key[1] != "test"]
    largest: dict[str, float] = {}
    for key in both:
        for name, values in old[key]["per_seed"].items():
            if name not in new[key]["per_seed"]:  # recorded by another version
                missing.append(key)
                continue
            others = new[key]["per_seed"][name]
            if len(values) != len(others):  # of other seeds
                missing.append(key)
                continue
            most = np.max(np.abs(np.subtract(values, others)))
            largest[name] = max(largest.get(name, 0.0), float(most))
    state = _state(there, here)
    identical = bool(both) and not missing and not any(largest.values()) and state != "different"
    if identical:
        return Verdict(True, True, "bit-identical", largest, state)
    words = ", ".join(f"{name} {most:.2g}" for name, most in largest.items()) or "nothing to compare"
    if not differences:
        why = f"; {len(missing)} records are missing" if missing else ""
        return Verdict(
            False, False, f"NOT reproduced, although its environment is the same: {words}{why}", largest, state
        )
    accuracies, allowed = _last_accuracies(there, old, new, both)
    near = abs(accuracies[0] - accuracies[1]) <= allowed and not missing
    if near:
        return Verdict(True, False, f"equal within {words}", largest, state)
    text = "the mean accuracies {:.4f} and {:.4f} differ by more than {:.4f}".format(*accuracies, allowed)
    return Verdict(False, False, f"NOT reproduced: {text} ({words})", largest, state)


def _lines(folder: Path, epochs: int) -> dict[tuple[int, str], dict]:
    lines = logs.read_metrics(folder / "metrics.jsonl")
    return {(line["epoch"], line["split"]): line for line in lines if line["epoch"] <= epochs}


def _state(there: Path, here: Path) -> str:
    found = []
    for folder in (there, here):
        done = (folder / "summary.json").exists()
        found.append(run_folder.read_json(folder, "summary.json").get("state_sha256") if done else None)
    if None in found:
        return "not recorded"
    return "the same" if found[0] == found[1] else "different"


def _last_accuracies(there: Path, old: dict, new: dict, both: list[tuple[int, str]]) -> tuple[list[float], float]:
    """The mean accuracies of the last evaluation in both, and how far two samples may differ."""
    evaluated = [key for key in both if key[1] != "train"]
    if not evaluated:
        return [0.0, 1.0], 0.0
    last = max(evaluated, key=lambda key: (key[0], key[1] == "test"))
    pair = [float(np.mean(lines[last]["per_seed"]["accuracy"])) for lines in (old, new)]
    examples = run_folder.read_json(there, "environment.json")["dataset"]["examples"][last[1]]
    p = min(max(sum(pair) / 2, 1 / examples), 1 - 1 / examples)
    return pair, STANDARD_ERRORS * math.sqrt(2 * p * (1 - p) / examples)
