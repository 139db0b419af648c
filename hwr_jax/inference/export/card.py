"""MODEL_CARD.md of an exported model: what it reads, from what it was made, how well, and what its files are."""

from __future__ import annotations

from typing import Any

from hwr_jax.data import STRINGS, sheets
from hwr_jax.data.negatives import NONE
from hwr_jax.inference import packaged
from hwr_jax.inference.export import outcomes, sections
from hwr_jax.inference.export.source import Source


def text(source: Source, exported: dict[str, dict[str, Any]], licence: str, watts: float | None = None) -> str:
    """Returns the card.

    Args:
      source: the model and the records of its training.
      exported: the record of each file.
      licence: of the weights, in a few words.
      watts: see `sections.cost`.
    """
    card = (packaged.FOLDER / "MODEL_CARD.md").read_text() if source.shipped else _of_run(source, licence, watts)
    head = "\n".join(
        [
            "---",
            f"license: {'mit' if licence == 'MIT' else 'other'}",
            "library_name: hwr_jax",
            "pipeline_tag: image-classification" if not source.model.reads_strings else "pipeline_tag: image-to-text",
            "tags: [handwriting-recognition, jax]",
            "---",
            "",
        ]
    )
    return f"{head}{card.rstrip()}\n{_of_files(exported)}"


def _of_run(source: Source, licence: str, watts: float | None) -> str:
    facts, plan, model = source.facts, source.model.plan, source.network["model"]
    height, width = facts["shape"][:2]
    glyphs = source.config.data.strings.glyphs if facts["name"] == STRINGS else ""
    sheet = sheets.of(facts["name"])
    shows = "a line of handwriting" if plan.reads_strings else sheet.shows if sheet else "one handwritten character"
    return f"""# {plan.name} on {facts["name"]}

Reads images of {height} x {width} pixels; each shows {shows}. Its {len(facts["classes"])} classes are
{", ".join(facts["classes"])}.

    import hwr_jax
    model = hwr_jax.load("FOLDER")
    model.read_pictures(["picture.png"])

## How well it reads

{_measured(source)}

## What it is for, and what it must not do

{sections.uses(shows, rejects=NONE in facts["classes"])}

## Made from

The training images of {facts["name"]}, version {facts["version"]} ({facts["examples"]["train"]:,} images; SHA-256 of
the data {facts["sha256"]}). These weights are {source.in_words()}. config.json has the values of the training
({model["name"]}, {source.config.epochs} epochs), environment.json its versions.

{sections.data(facts["name"], glyphs)}

## What the training cost

{_cost(source, watts)}

## Licence

Of the weights: {licence}. See LICENSE.
"""


def _cost(source: Source, watts: float | None) -> str:
    if source.summary is None:
        return "Not known: the records of the training are not here."
    return sections.cost(source.summary, source.environment, watts)


def _measured(source: Source) -> str:
    """The sections that the results of the run give, or why there are none."""
    summary = source.summary
    if summary is None:
        return "Not known: the run has no results here, because it is not finished or was exported before."
    if source.which != summary["checkpoint"]:
        return (
            f"Not known: the run measured its {summary['checkpoint']} state, and these weights are the {source.which}."
        )
    measured = sections.results(summary, source.model.seeds)
    found = outcomes.of_model(source)
    if found is None:
        return f"{measured}\n\nClass by class nothing is known: predictions.npz of the run is not here, or damaged."
    by = "length" if source.model.reads_strings else "class"
    parts = [measured, f"By {by}, of {source.seeds_in_words()}:", sections.classes(found)]
    if wrong := sections.mistakes(found):
        parts += ["What it confuses most often:", wrong]
    return "\n\n".join(parts)


def _of_files(exported: dict[str, dict[str, Any]]) -> str:
    if not exported:
        return ""
    lines = [
        "",
        "## The files",
        "",
        "| file | weights | checked on | right | largest difference from JAX |",
        "|---|---|---|---|---|",
    ]
    for name, record in sorted(exported.items()):
        check = record["check"]
        lines.append(
            f"| {name} | {record['quantize'] or 'float32'} | {check['images_of']}, {check['images']:,} images "
            f"| {100 * check['accuracy']:.2f} % | {check['largest_difference']:.1e} |"
        )
    preprocessing = next(iter(exported.values()))["preprocessing"]
    return "\n".join([*lines, "", "## Preprocessing", "", preprocessing, ""])
