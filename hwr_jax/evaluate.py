"""Evaluates a trained run: `python -m hwr_jax.evaluate --workdir=runs/cnn` reproduces its test numbers to the digit."""

from __future__ import annotations

import json

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Evaluates a trained run on any split of its data set, or of another one, standardised as in training.

    python -m hwr_jax.evaluate --workdir=runs/cnn [--dataset=digits] [--split=validation] [--checkpoint=best] [--seed=0]
"""

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS)
_DATASET = FLAGS.string("dataset", None, "Data set; default: that of the run.")
_SPLIT = FLAGS.choice("split", "test", ["train", "validation", "test"], "Which part of the data set.")
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "One seed of the run; default: all.")
_BEAM = FLAGS.integer(
    "beam", None, "Width of the beam search, for strings; default: as in the run's config.", at_least=1
)
_SHIFT_PX = FLAGS.integer(
    "shift_px", None, "Average over all whole-pixel shifts up to this; default: as in the run's config.", at_least=0
)
_FORMAT = flags.output_format(FLAGS, ["table", "json"])
_DATA_DIR = flags.data_dir(FLAGS)
_MANUAL_DIR = FLAGS.string(
    "manual_dir", None, "Folder with the original files, or with your own pictures; default: that of the run."
)


def main() -> int:
    """Prints the metrics of the chosen states; returns the exit code."""
    folder = command.folder("workdir", _WORKDIR.value)
    from hwr_jax.cli import console
    from hwr_jax.data import cache
    from hwr_jax.inference import evaluation, predictor
    from hwr_jax.steps import compile_cache
    from hwr_jax.workdir import run_folder

    config = run_folder.read_config(folder)  # before the heavy work, so that a wrong folder fails at once
    compile_cache.cache_compilations(cache.default_cache_dir())
    screen = console.make_console(stderr=_FORMAT.value == "json")
    model = predictor.load(
        folder,
        which=_CHECKPOINT.value or "",
        seed=_SEED.value,
        reading={"beam": _BEAM.value, "shift_px": _SHIFT_PX.value},
        log=screen.print,
    )
    dataset = _load(config, model.facts, screen.print)
    arrays = getattr(dataset, _SPLIT.value)
    outputs = model.outputs(arrays)
    scores = evaluation.scores(arrays, outputs) | {"ensemble": evaluation.ensemble(arrays, outputs)}
    facts = {
        "dataset": dataset.name,
        "split": _SPLIT.value,
        "examples": len(arrays.label),
        "trained_on": model.facts["name"],
        "checkpoint": _CHECKPOINT.value or config.eval.checkpoint,
        "seeds": model.seeds,
    }
    if _FORMAT.value == "json":
        print(json.dumps({**facts, **scores}, indent=2))
        return errors.DONE
    screen.print(
        f"{folder} ({console.trained_on(model.facts['name'])}; {facts['checkpoint']} state, seeds {model.seeds}) on "
        f"{dataset.name} {_SPLIT.value} ({facts['examples']:,} images):"
    )
    screen.print(console.results_table(scores))
    return errors.DONE


def _load(config, facts: dict, log):
    """Loads the data set that --dataset names; the run's own must not have changed."""
    from hwr_jax import data
    from hwr_jax.data import configured

    name = _DATASET.value or config.data.name
    own = name == config.data.name
    if own:
        dataset = configured.load_of_run(config, facts, _DATA_DIR.value, log, manual_dir=_MANUAL_DIR.value or "")
    else:
        dataset = configured.load(config, _DATA_DIR.value, log, name=name, manual_dir=_MANUAL_DIR.value or "")
    there, here = list(dataset.train.image.shape[1:]), facts["shape"]
    if there != here:
        raise errors.ConfigError(
            f"--dataset={name} has images of {there[0]}x{there[1]} pixels, this model reads {here[0]}x{here[1]}"
        )
    if config.init_from and own:
        dataset = data.with_classes(dataset, tuple(facts["classes"]))
    if len(dataset.classes) != len(facts["classes"]):
        raise errors.ConfigError(
            f"--dataset={name} has {len(dataset.classes)} classes, this model {len(facts['classes'])}: they must match"
        )
    return dataset


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
