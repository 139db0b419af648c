"""MODEL_CARD.md of an exported model: what it reads, from what it was made, how well, and what its files are."""

from __future__ import annotations

from typing import Any

from hwr_jax.inference import packaged
from hwr_jax.inference.export.source import Source


def text(source: Source, exported: dict[str, dict[str, Any]], licence: str) -> str:
    """Returns the card. exported: the record of each file; licence: of the weights, in a few words."""
    card = (packaged.FOLDER / "MODEL_CARD.md").read_text() if source.shipped else _of_run(source, licence)
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


def _of_run(source: Source, licence: str) -> str:
    facts, plan, model = source.facts, source.model.plan, source.network["model"]
    height, width = facts["shape"][:2]
    what = "a line of handwriting" if plan.reads_strings else "one handwritten character"
    return f"""# {plan.name} on {facts["name"]}

Reads {what} in an image of {height} x {width} pixels. Its {len(facts["classes"])} classes are
{", ".join(facts["classes"])}.

    import hwr_jax
    model = hwr_jax.load("FOLDER")
    model.read_pictures(["picture.png"])

## Made from
The training images of {facts["name"]}, version {facts["version"]} ({facts["examples"]["train"]:,} images; SHA-256 of
the data {facts["sha256"]}). These weights are {source.in_words()}. config.json has the values of the training
({model["name"]}, {source.config.epochs} epochs), environment.json its versions.

## Licence
Of the weights: {licence}. See LICENSE.
"""


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
