"""The sections of a model card that the records of a run give: results, classes, mistakes, cost, data, limits.

Markdown, the same bytes for the same records. `card` puts them together; scripts/pretrain.py uses them for the card of
the model that comes with the package.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from hwr_jax.core import stats
from hwr_jax.data import sheets
from hwr_jax.tasks import metrics

METRICS = {  # of summary.json: words, factor, unit
    "accuracy": ("right", 100, "%"),
    "error_count": ("errors", 1, ""),
    "cer": ("character error rate", 100, "%"),
    "loss": ("loss", 1, "nats"),
    "precision_macro": ("precision (mean of the classes)", 100, "%"),
    "recall_macro": ("recall (mean of the classes)", 100, "%"),
    "f1_macro": ("F1 (mean of the classes)", 100, "%"),
    "ece": ("calibration error", 100, "%"),
}
PAIRS = 8  # of classes, in the table of mistakes


def results(summary: dict[str, Any], seeds: Sequence[int]) -> str:
    """Returns how well the chosen seeds of a run do on its test set, each alone and together, with intervals: over the
    seeds, or of a single one over the test images.

    Args:
      summary: of the run.
      seeds: some of it.
    """
    test, images = summary["test"], summary["examples"]["test"]
    rows, several = [summary["seeds"].index(seed) for seed in seeds], len(seeds) > 1
    head = ["each network", "95 % over the seeds"] if several else ["", "95 % over the images"]
    lines = [
        f"On the {images:,} test images of {summary['dataset']}:",
        "",
        f"| | {' | '.join(head)} |",
        "|---|---|---|",
    ]
    for name, (words, factor, unit) in METRICS.items():
        if name in test:
            values = [test[name]["per_seed"][i] for i in rows]
            found = stats.summarise(values, within=metrics.possible(name, images))
            ends = found["ci95"]
            if name == "accuracy" and not several:
                ends = _over_images(values[0], images)
            shown = "" if ends is None else " to ".join(_number(end, factor, unit) for end in ends)
            lines.append(f"| {words} | {_number(found['mean'], factor, unit)} | {shown} |")
    together = test.get("ensemble") or {}
    if len(rows) == len(summary["seeds"]) and "mean_probability" in together:
        lines += ["", f"By their mean probability they are right on {100 * together['mean_probability']:.2f} %."]
    if not several:
        lines += ["", "One seed: another training gives other numbers, and nothing here says how far they spread."]
    return "\n".join(lines)


def _over_images(accuracy: float, images: int) -> list[float]:
    """The 95 % interval of one network's accuracy that other test images would give: the exact one of Clopper & Pearson
    1934, since Student's has no width where all images are right."""
    from scipy.stats import binomtest

    return list(binomtest(round(accuracy * images), images).proportion_ci(0.95, method="exact"))


def _number(value: float, factor: float, unit: str) -> str:
    shown = f"{factor * value:.4f}" if unit == "nats" else f"{factor * value:.2f}"
    return f"{shown} {unit}".strip()


def classes(found: dict[str, Any]) -> str:
    """Returns the table of the classes, or of the lengths of strings.

    Args:
      found: of one model; see `outcomes.of_model`.
    """
    if "per_length" in found:
        of_length = found["per_length"]
        lines = ["| length | test images | right |", "|---|---|---|"]
        each = zip(of_length["length"], of_length["examples"], of_length["accuracy"], strict=True)
        return "\n".join([*lines, *(f"| {n:g} | {many:,.0f} | {100 * right:.2f} % |" for n, many, right in each)])
    of_class = found["per_class"]
    lines = ["| class | test images | precision | recall | F1 |", "|---|---|---|---|---|"]
    for k, name in enumerate(found["classes"]):
        if of_class["support"][k]:
            shares = " | ".join(f"{100 * of_class[key][k]:.2f} %" for key in ("precision", "recall", "f1"))
            lines.append(f"| {_cell(name)} | {of_class['support'][k]:,.0f} | {shares} |")
    return "\n".join(lines)


def mistakes(found: dict[str, Any]) -> str:
    """Returns the pairs of classes that are confused most often: the label, and what is read; "" for strings.

    Args:
      found: of one model; see `outcomes.of_model`.
    """
    if "confusion" not in found:
        return ""
    confusion, names = found["confusion"], found["classes"]
    wrong = sorted((-count, i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) if count and i != j)
    if not wrong:
        return "No test image was misread."
    lines = ["| it is | and is read as | of the test images of its class |", "|---|---|---|"]
    for count, i, j in wrong[:PAIRS]:
        share = f"{-count:,} of {sum(confusion[i]):,} ({-100 * count / sum(confusion[i]):.2f} %)"
        lines.append(f"| {_cell(names[i])} | {_cell(names[j])} | {share} |")
    return "\n".join(lines)


def cost(summary: dict[str, Any], environment: dict[str, Any], watts: float | None) -> str:
    """Returns what the training took, and the energy that follows from a power if one is stated.

    Args:
      summary, environment: of the run.
      watts: mean power of the machine while training, as somebody states it; None: nobody does.
    """
    seconds, devices = summary["total_seconds"], environment.get("devices", [])
    epochs, seeds = summary["epochs"], len(summary["seeds"])
    where = f" on {environment.get('mesh_devices', 1)} x {devices[0]}" if devices else ""
    took = (
        f"{epochs} epoch{'s' * (epochs > 1)} of {summary['examples']['train']:,} images, {seeds} "
        f"seed{'s together' if seeds > 1 else ''}, took {seconds:,.1f} s{where}: {summary['train_seconds']:,.1f} s "
        f"inside the steps, {summary['compile_seconds']:,.1f} s of compiling, the rest for data, evaluation and files. "
        "What came before this run (first weights, other settings, a search) is not in it."
    )
    if watts is None:
        energy = (
            "Energy: not estimated, because no power was given (--watts). At a mean power of P watts it is P x "
            f"{seconds:,.1f} s / 3600 = P x {seconds / 3600:.3g} Wh."
        )
    else:
        energy = (
            f"Energy, estimated: {watts:g} W x {seconds:,.1f} s / 3600 = {watts * seconds / 3600:.3g} Wh. It assumes "
            f"that the machine drew {watts:g} W on average, as whoever exported the model stated; nothing was "
            "measured, and neither cooling nor the making of the machine is counted."
        )
    return f"{_wrapped(took)}\n\n{_wrapped(energy)}"


def data(name: str, glyphs: str = "") -> str:
    """Returns the sheet of a data set, for a card.

    Args:
      name: of the data set.
      glyphs: of strings: the data set that they are composed of; "": the data is no such strings.
    """
    sheet = sheets.of(glyphs or name)
    made = f"Lines that hwr_jax composes from the images of {glyphs}. " if glyphs else ""
    if sheet is None:
        return _wrapped(
            f"{made}The user's own pictures: who wrote them, who agreed to what, and under which licence they are, "
            "only whoever trained the model can say."
        )
    faults = "\n".join(f"- {fault}" for fault in sheet.faults)
    origin, licence = (
        _wrapped(f"{made}{sheet.title}: {sheet.origin}"),
        _wrapped(f"Licence of the data: {sheet.licence}"),
    )
    cited = f"```bibtex\n{sheet.citation}```"
    return (
        f"{origin}\n<{sheet.homepage}>\n\n{licence}\n\nKnown faults of the data:\n\n{faults}\n\nCite it as\n\n{cited}"
    )


def uses(shows: str, *, rejects: bool) -> str:
    """Returns what a model is for, and what it must not do.

    Args:
      shows: what one image is a picture of.
      rejects: whether it has a class for what is none of the others.
    """
    made_for = (
        f"For research and teaching, and to read pictures like those it was trained on: each shows {shows}, prepared "
        'as "Preprocessing" says. Measure it on pictures of your own before you rely on it.'
    )
    other = "" if rejects else " Whatever it is shown, it names one of its classes, also for what is none of them."
    limits = (
        "It must not decide alone about money, marks, identity, or anything else that matters to a person: let a "
        f"person check what is unsure.{other} Wrong readings are not spread evenly: rare styles, and so some groups of "
        "people, are read worse. A test set says nothing about pictures of another kind: another pen, camera, country "
        "or time."
    )
    return f"{_wrapped(made_for)}\n\n{_wrapped(limits)}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _cell(name: str) -> str:
    """A class's name in a cell of a Markdown table."""
    return "space" if name == " " else name.replace("|", "\\|")
