"""What stands beside an exported model: config.json, environment.json, MODEL_CARD.md and LICENSE.

`hwr_jax.load` reads the first two with the weights. Nothing here names a place on the machine that trained.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import hwr_jax
from hwr_jax.config.configs import to_json
from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError
from hwr_jax.inference import packaged
from hwr_jax.inference.export import card
from hwr_jax.inference.export.graph import OPSET
from hwr_jax.inference.export.source import Source
from hwr_jax.inference.onnx_reader import FORM
from hwr_jax.workdir import run_folder

PREPROCESSING = (
    "An image holds one {what}: {height} x {width} pixels, grey values from 0 (paper) to 255 (ink), {placed}. "
    "The input is float32 [N, {height}, {width}, 1], 0 to 255; the model standardises: (x / 255 - {mean}) / {std}."
)
PLACED = {
    "character": "the ink 20 pixels high or wide and its centre of mass in the middle, as in MNIST",
    "line": "the ink as high as 0.7 of the image, as hwr_jax.line_from_picture places it",
}
PLACES = ("data.manual_dir", "data.class_map")  # keys of the config that name places of this machine
KEPT = ("dataset", "code", "started", "versions")  # keys of environment.json
FACTS = ("name", "version", "sha256", "classes", "shape", "examples", "mean", "std")  # of the training data
MADE_BY = {  # --format -> packages whose versions are recorded
    "safetensors": ("safetensors",),
    "stablehlo": ("jax", "jaxlib"),
    "onnx": ("jax", "onnx"),
    "litert": ("jax",),
}
WATTS = "training_watts"  # key of environment.json: what somebody states that the machine drew
UNSTATED = "none stated: ask whoever trained the model"


class Licence(NamedTuple):
    """The licence of the weights."""

    words: str  # a few
    text: str  # of LICENSE


def of_file(source: Source, kind: str, quantize: str | None, licence: Licence) -> dict[str, Any]:
    """Returns what a file says of itself, in its metadata where the format has such."""
    facts, plan = source.facts, source.model.plan
    height, width = facts["shape"][:2]
    what = "line" if plan.reads_strings else "character"
    return {
        "form": FORM,
        "network": plan.name,
        "reads": "strings" if plan.reads_strings else "classes",
        "labels": list(facts["classes"]),
        "blank": len(facts["classes"]) if plan.reads_strings else None,
        "beam": plan.beam,
        "longest": plan.longest,
        "shape": facts["shape"],
        "mean": facts["mean"],
        "std": facts["std"],
        "facts": {key: facts[key] for key in FACTS},
        "dataset": f"{facts['name']} {facts['version']}",
        "weights": source.in_words(),
        "quantize": quantize,
        "licence": licence.words,
        "versions": {"hwr_jax": hwr_jax.__version__, **{name: metadata.version(name) for name in MADE_BY[kind]}},
        "opset": OPSET if kind == "onnx" else None,
        "preprocessing": PREPROCESSING.format(
            what=what, placed=PLACED[what], height=height, width=width, mean=facts["mean"], std=facts["std"]
        ),
    }


def licence_of(source: Source, given: Path | None, out: Path, name: str) -> Licence:
    """Returns the licence of the weights.

    That of the model that comes with the package is the package's. Of other weights it is what the file `given` says,
    or that of the other exported files in the folder `out`; without either, none is claimed. `name` is the file to be
    written.

    Raises:
      ConfigError: it differs from that of the other files, or is not text.
    """
    ours = (packaged.FOLDER / "LICENSE").read_text()
    others = {of["licence"] for other, of in _exported(out).items() if other != name}
    if given is not None:
        try:
            text = given.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(f"--licence={given} is not text in UTF-8 ({error.reason}): save it as such") from None
        words = next((line.strip() for line in text.splitlines() if line.strip()), given.name)
        if others - {words}:
            raise ConfigError(
                f"--licence={given} says {words!r}, and other files in {out} have {sorted(others)[0]!r}: "
                "name another folder, or the same licence"
            )
        return Licence(words, text)
    if source.shipped:
        return Licence("MIT", ours)
    if others:
        return Licence(sorted(others)[0], (out / "LICENSE").read_text())
    return Licence(UNSTATED, f"Licence of these weights: {UNSTATED}.\n\nThe licence of hwr_jax itself:\n\n{ours}")


def require_place(out: Path, source: Source) -> None:
    """Raises ConfigError if the folder is a run, or holds another model."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out={out} is a file: name a folder")
    if (out / "checkpoints").exists() or (out / "metrics.jsonl").exists():
        raise ConfigError(f"--out={out} is a run folder: name another folder")
    if out.resolve() == packaged.FOLDER.resolve():
        raise ConfigError(f"--out={out} is the folder of the model that comes with hwr_jax: name another folder")
    if not (out / "config.json").exists():
        return
    try:
        there = run_folder.read_environment(out)["dataset"], (out / "config.json").read_text()
    except (ConfigError, OSError):  # neither ours nor a run's
        there = None
    if there != (source.environment["dataset"], to_json(_config(source)[0])):
        raise ConfigError(f"--out={out} holds another model: name another folder, or remove it")


def write(
    out: Path, source: Source, made: dict[str, dict[str, Any]], licence: Licence, watts: float | None = None
) -> list[str]:
    """Writes the records, and returns the keys that were left out.

    Args:
      out: the folder.
      source: the model.
      made: the records of the new files, by name.
      licence: of the weights.
      watts: what the machine drew while training; None: what an earlier export to the folder stated, if any.
    """
    exported = _exported(out) | made
    watts = _stated_watts(out) if watts is None else watts
    config, dropped = _config(source)
    environment = _environment(source, exported)
    if watts is not None:
        environment[WATTS] = watts
    if machine := [key for key in source.environment if key not in environment]:
        dropped.append(f"{', '.join(machine)} of environment.json")
    files.write_json(out / "environment.json", environment)
    files.write_atomic(out / "config.json", to_json(config))
    files.write_atomic(out / "LICENSE", licence.text)
    files.write_atomic(out / "MODEL_CARD.md", card.text(source, exported, licence.words, watts))
    return dropped


def _stated_watts(out: Path) -> float | None:
    return run_folder.read_environment(out).get(WATTS) if (out / "environment.json").exists() else None


def _exported(out: Path) -> dict[str, dict[str, Any]]:
    """The records of the files that are in the folder."""
    if not (out / "environment.json").exists():
        return {}
    of_all = run_folder.read_environment(out).get("exported", {})
    return {name: of for name, of in of_all.items() if (out / name).exists()}


def _config(source: Source) -> tuple[Any, list[str]]:
    """The config of the exported seeds and state, without places; and the keys that were left out."""
    config = source.config.copy_and_resolve_references()
    config.seed, config.seeds, config.eval.checkpoint = source.model.seeds[0], len(source.model.seeds), source.which
    dropped = []
    for key in PLACES:
        section, name = key.split(".")
        if config[section][name]:
            config[section][name] = ""
            dropped.append(f"config.{key}")
    if Path(config.init_from).is_absolute():
        config.init_from = Path(config.init_from).name
        dropped.append("the folder of config.init_from")
    return config, dropped


def _environment(source: Source, exported: dict[str, Any]) -> dict[str, Any]:
    """The records of the training that say nothing of the machine."""
    of_run = source.environment
    resumed = [{"step": one["step"], "changed": [], "code": one["code"]} for one in of_run["resumed"] if "code" in one]
    kept = {key: of_run[key] for key in KEPT if key in of_run}
    return {**kept, "resumed": resumed, "exported": exported}
