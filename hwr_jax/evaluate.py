"""Evaluates a trained run: `python -m hwr_jax.evaluate --workdir=runs/cnn` reproduces its test numbers to the digit."""

from __future__ import annotations

import json

from absl import flags

from hwr_jax.cli import command
from hwr_jax.core import errors

USAGE = """\
Evaluates a trained run on any split of its data set, or of another one, with the training standardisation.

    python -m hwr_jax.evaluate --workdir=runs/cnn [--dataset=digits] [--split=validation] [--checkpoint=best] [--seed=0]
"""

FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder (required).", flag_values=FLAGS)
_DATASET = flags.DEFINE_string("dataset", None, "Data set; default: the one of the run.", flag_values=FLAGS)
_SPLIT = flags.DEFINE_enum(
    "split", "test", ["train", "validation", "test"], "Which part of the data set.", flag_values=FLAGS
)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", None, ["last", "best"], "Which state; default: as the run's config says.", flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", None, "One seed of the run; default: all.", flag_values=FLAGS)
_BEAM = flags.DEFINE_integer(
    "beam", None, "Of strings: width of the beam search; default: as the run's config says.", lower_bound=1,
    flag_values=FLAGS,
)  # fmt: skip
_SHIFT_PX = flags.DEFINE_integer(
    "shift_px", None, "Read images at all whole-pixel shifts up to this, averaged; default: as the run's config says.",
    lower_bound=0, flag_values=FLAGS,
)  # fmt: skip
_FORMAT = flags.DEFINE_enum("format", "table", ["table", "json"], "How the results are printed.", flag_values=FLAGS)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of tensorflow-datasets; default: TFDS_DATA_DIR or its own.", flag_values=FLAGS
)
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", None, "Folder of the original files, or of your own pictures; default: the run's.", flag_values=FLAGS
)


def main(argv: list[str]) -> int:
    """Prints the metrics of the chosen states; returns the exit code."""
    if argv:
        raise errors.ConfigError(f"{argv[0]!r} is no flag: a flag is --name=value")
    folder = command.folder("workdir", _WORKDIR.value)
    from hwr_jax.cli import console
    from hwr_jax.data import cache
    from hwr_jax.inference import evaluation, predictor
    from hwr_jax.steps import compiled
    from hwr_jax.workdir import run_folder

    config = run_folder.read_config(folder)  # before the heavy work: a wrong folder is told at once
    compiled.cache_compilations(cache.default_cache_dir())
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
    """Loads the data set that is asked for; that of the run must be what it was."""
    from hwr_jax import data

    name = _DATASET.value or config.data.name
    own = name == config.data.name
    if own:
        dataset = command.load_of_run(config, facts, _DATA_DIR.value, log, manual_dir=_MANUAL_DIR.value or "")
    else:
        dataset = command.load_data(config, _DATA_DIR.value, log, name=name, manual_dir=_MANUAL_DIR.value or "")
    there, here = list(dataset.train.image.shape[1:]), facts["shape"]
    if there != here:
        raise errors.ConfigError(
            f"--dataset={name} has pictures of {there[0]}x{there[1]} pixels, this model reads {here[0]}x{here[1]}"
        )
    if config.init_from and own:
        dataset = data.with_classes(dataset, tuple(facts["classes"]))
    if len(dataset.classes) != len(facts["classes"]):
        raise errors.ConfigError(
            f"--dataset={name} has {len(dataset.classes)} classes, this model {len(facts['classes'])}: they must agree"
        )
    return dataset


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
