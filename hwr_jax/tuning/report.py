"""The report of a search: report.md and figures, from Optuna's study alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.studies.live import duration
from hwr_jax.tuning import figures
from hwr_jax.tuning.spec import Search

SHOWN = 10  # trials in the table


def write(search: Search, study: Any, folder: Path) -> None:
    """Writes report.md and the figures; at least one trial must have finished."""
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


def line(study: Any, trial: Any) -> str:
    """Returns a line about a trial that has ended."""
    leaders = _finished(study)
    so_far = f"; best so far {100 * leaders[0].value:.2f} % (trial {leaders[0].number})" if leaders else ""
    if trial.state.name == "COMPLETE":
        return f"trial {trial.number}: validation accuracy {100 * trial.value:.2f} %{so_far}"
    if "refused" in trial.user_attrs:
        return f"trial {trial.number}: {trial.user_attrs['refused']}"
    if trial.state.name != "PRUNED":
        return f"trial {trial.number}: not finished{so_far}"
    step, value = max(trial.intermediate_values.items(), default=(0, 0.0))
    there = leaders[0].intermediate_values.get(step) if leaders else None
    same = "" if there is None else f", where the best had {100 * there:.2f} %"
    return f"trial {trial.number}: pruned at step {step} with {100 * value:.2f} %{same}{so_far}"


def time_left(ended: int, elapsed_s: float, *, trials: int, minutes: float) -> str:
    """Returns how long the search may still take: until its time is up, or its trials are done at the pace so far.

    Args:
      ended: trials that this process ended, in `elapsed_s` seconds.
      trials: that are left, for all processes.
      minutes: for this process.
    """
    left = min(60 * minutes - elapsed_s, trials * elapsed_s / ended)
    return f"about {duration(max(left, 0.0))} left" if trials > 0 else "no trial left"


def needs_confirming(study: Any, seeds: int) -> bool:
    """Whether the best trial, if any, still has to be compared with the original config on `seeds` new seeds."""
    leaders, confirmed = _finished(study), study.user_attrs.get("confirmed")
    if not leaders or confirmed is None:
        return bool(leaders)
    return (confirmed["trial"], len(confirmed["own"]["per_seed"])) != (leaders[0].number, seeds)


def has_finished(study: Any) -> bool:
    """Whether any trial ran to completion."""
    return bool(_finished(study))


def ended(study: Any) -> int:
    """Returns how many trials count towards --trials: those that finished or were pruned."""
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.get_trials(deepcopy=False))


def _finished(study: Any) -> list[Any]:
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    return sorted(done, key=lambda trial: (-trial.value, trial.number))


def verdict(search: Search, study: Any) -> str:
    """Returns the best trial, and how much of its gain new seeds confirm."""
    best = _finished(study)[0]
    values = " ".join(shlex.quote(f"--config.{key}={value}") for key, value in _shown(best.params).items())
    found = (
        f"The best of {len(_finished(study))} finished trials (trial {best.number}) has a mean validation accuracy of "
        f"{100 * best.value:.3f} % over {search.seeds} seeds: `{values}`."
    )
    confirmed = study.user_attrs.get("confirmed")
    if not confirmed or confirmed["trial"] != best.number:
        return f"{found} It has not been compared with the original config on new seeds."
    own, new, difference = (confirmed[key] for key in ("own", "found", "difference"))
    interval = ""
    if difference["ci95"]:
        low, high = (100 * end for end in difference["ci95"])
        interval = f" ({low:+.3f} to {high:+.3f}; p = {confirmed['p']:.3g}, sign-flip test)"
    return (
        f"{found} With {len(own['per_seed'])} new seeds it reaches {_mean(new)}, the original config {_mean(own)}: "
        f"{100 * difference['mean']:+.3f} points{interval}."
    )


def _mean(scores: dict[str, Any]) -> str:
    """The mean accuracy, and how many seeds count as 0 in it (`trials.confirm`)."""
    lost = scores["per_seed"].count(0.0)
    return f"{100 * scores['mean']:.3f} %" + (f" ({lost} diverged, counted as 0 %)" if lost else "")


def _shown(params: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in params.items()}


def _table(search: Search, study: Any) -> str:
    keys = list(search.space)
    lines = ["| trial | validation, % | seconds | " + " | ".join(f"`{key}`" for key in keys) + " |"]
    lines.append("|---" * (3 + len(keys)) + "|")
    for trial in _finished(study)[:SHOWN]:
        shown = _shown(trial.params)
        seconds = trial.user_attrs.get("seconds", 0.0)
        cells = [str(trial.number), f"{100 * trial.value:.3f}", f"{seconds:.1f}", *(str(shown[key]) for key in keys)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _setup(search: Search, study: Any) -> str:
    words = {
        "COMPLETE": "finished",
        "PRUNED": "pruned",
        "FAIL": "interrupted",
        "refused": "with values that do not fit",
    }
    trials = study.get_trials(deepcopy=False)
    states = ["refused" if "refused" in trial.user_attrs else trial.state.name for trial in trials]
    counts = ", ".join(f"{states.count(name)} {word}" for name, word in words.items() if name in states)
    axes = ["| key | searched | original |", "|---|---|---|"]
    own = search.config.to_dict()
    for key, axis in search.space.items():
        value: Any = own
        for part in key.split("."):
            value = value[part]
        axes.append(f"| `{key}` | {axis[0]}: {', '.join(map(str, axis[1:]))} | {value} |")
    return (
        f"- Trials: {counts}. Each trains {search.seeds} seeds in turn; successive halving prunes it if it is among "
        "the lower two thirds at a rung.\n"
        "- Proposals: TPE (Bergstra et al. 2011). The test set was not read.\n"
        f"- Command: `python -m hwr_jax.search --search=experiments/{search.name}/search.py`.\n\n" + "\n".join(axes)
    )
