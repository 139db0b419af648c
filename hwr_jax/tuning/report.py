"""The report of a search: report.md and figures, from the study that Optuna keeps. Owns the words."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.tuning import figures
from hwr_jax.tuning.spec import Search

SHOWN = 10  # trials in the table


def write(search: Search, study: Any, folder: Path) -> None:
    """Writes report.md and the figures; there is a finished trial."""
    drawn = figures.draw_all(study, folder)
    files.write_atomic(folder / "report.md", text(search, study, drawn))


def text(search: Search, study: Any, drawn: list[str]) -> str:
    """Returns the report; `drawn` are the names of the figures beside it."""
    parts = [
        f"# {search.name}",
        f"**{search.question}**",
        verdict(search, study),
        _table(search, study),
        "\n".join(f"![{name.removesuffix('.png')}]({name})" for name in drawn),
        "## Setup",
        *([" ".join(search.notes.split())] if search.notes else []),
        _setup(search, study),
    ]
    return "\n\n".join(parts) + "\n"


def line(study: Any, one: Any) -> str:
    """Returns what is said of a trial that has ended."""
    leaders = _finished(study)
    so_far = f"; best so far {100 * leaders[0].value:.2f} % (trial {leaders[0].number})" if leaders else ""
    if one.state.name == "COMPLETE":
        return f"trial {one.number}: validation accuracy {100 * one.value:.2f} %{so_far}"
    if "refused" in one.user_attrs:
        return f"trial {one.number}: {one.user_attrs['refused']}"
    step, value = max(one.intermediate_values.items(), default=(0, 0.0))
    return f"trial {one.number}: pruned at step {step} with {100 * value:.2f} %{so_far}"


def needs_confirming(study: Any, seeds: int) -> bool:
    """Whether there is a best trial that was not compared with the config as it is on so many seeds."""
    leaders, there = _finished(study), study.user_attrs.get("confirmed")
    if not leaders or there is None:
        return bool(leaders)
    return (there["trial"], len(there["own"]["per_seed"])) != (leaders[0].number, seeds)


def has_finished(study: Any) -> bool:
    """Whether a trial was trained to its end."""
    return bool(_finished(study))


def _finished(study: Any) -> list[Any]:
    done = [one for one in study.get_trials(deepcopy=False) if one.state.name == "COMPLETE"]
    return sorted(done, key=lambda one: (-one.value, one.number))


def verdict(search: Search, study: Any) -> str:
    """Returns what was found, and what of it new seeds confirm."""
    best = _finished(study)[0]
    values = " ".join(shlex.quote(f"--config.{key}={value}") for key, value in _shown(best.params).items())
    found = (
        f"The best of {len(_finished(study))} finished trials (trial {best.number}) has a validation accuracy of "
        f"{100 * best.value:.3f} %, the mean of {search.seeds} seeds: `{values}`."
    )
    confirmed = study.user_attrs.get("confirmed")
    if not confirmed or confirmed["trial"] != best.number:
        return f"{found} It was not compared with the config as it is on new seeds."
    own, new, difference = (confirmed[key] for key in ("own", "found", "difference"))
    interval = ""
    if difference["ci95"]:
        low, high = (100 * end for end in difference["ci95"])
        interval = f" ({low:+.3f} to {high:+.3f}; p = {confirmed['p']:.3g}, sign-flip test)"
    return (
        f"{found} With {len(own['per_seed'])} new seeds it has {100 * new['mean']:.3f} %, the config as it is "
        f"{100 * own['mean']:.3f} %: {100 * difference['mean']:+.3f} points{interval}."
    )


def _shown(params: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in params.items()}


def _table(search: Search, study: Any) -> str:
    keys = list(search.space)
    lines = ["| trial | validation, % | seconds | " + " | ".join(f"`{key}`" for key in keys) + " |"]
    lines.append("|---" * (3 + len(keys)) + "|")
    for one in _finished(study)[:SHOWN]:
        shown = _shown(one.params)
        seconds = one.user_attrs.get("seconds", 0.0)
        cells = [str(one.number), f"{100 * one.value:.3f}", f"{seconds:.1f}", *(str(shown[key]) for key in keys)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _setup(search: Search, study: Any) -> str:
    words = {"COMPLETE": "finished", "PRUNED": "ended early", "FAIL": "interrupted", "refused": "not possible"}
    states = ["refused" if "refused" in one.user_attrs else one.state.name for one in study.get_trials(deepcopy=False)]
    counts = ", ".join(f"{states.count(name)} {word}" for name, word in words.items() if name in states)
    axes = ["| key | from | as it is |", "|---|---|---|"]
    own = search.config.to_dict()
    for key, axis in search.space.items():
        value: Any = own
        for part in key.split("."):
            value = value[part]
        axes.append(f"| `{key}` | {axis[0]}: {', '.join(map(str, axis[1:]))} | {value} |")
    return (
        f"- Trials: {counts}. {search.seeds} seeds each, one after the other; a trial is ended when it lies in the "
        "lower two thirds at a rung (successive halving).\n"
        "- Proposals: TPE (Bergstra et al. 2011). The test set was not read.\n"
        f"- Command: `python -m hwr_jax.search --search=experiments/{search.name}/search.py`.\n\n" + "\n".join(axes)
    )
