"""Evaluates a trained run: `python -m hwr_jax.evaluate --workdir=runs/cnn` reproduces its test numbers to the digit."""

from __future__ import annotations

import json
from pathlib import Path

from hwr_jax.cli import command, flags
from hwr_jax.core import errors, printable

USAGE = """\
Evaluates a trained run on any split of its data set, or of another one, standardised as in training. Prints the
metrics, and for each class its precision, its recall, and what it is mistaken for. The classes of another data set are
matched by name, and it may lack some. With --pages it reads whole pages instead, as scan does, and compares them with
the ground_truth.json beside them; with --corruptions it reads the images made worse in fifteen ways and five strengths.

    python -m hwr_jax.evaluate --workdir=runs/cnn
    python -m hwr_jax.evaluate --workdir=runs/cnn --split=validation --checkpoint=best
    python -m hwr_jax.evaluate --workdir=runs/cnn --dataset=folder --manual_dir=FOLDER
    python -m hwr_jax.evaluate --workdir=runs/cnn --corruptions
    python -m hwr_jax.evaluate --pages=FOLDER
"""

OF_PAGES = ("pages", "workdir", "checkpoint", "seed", "shift_px", "format")  # the flags that go with --pages
SHOWN = 12  # classes in a message, and pages in a list

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS, without="required, but with --pages the model that comes with hwr_jax")
_DATASET = FLAGS.string("dataset", None, "The data set; default: that of the run.", kind="NAME")
_SPLIT = FLAGS.choice(
    "split",
    None,
    ["train", "validation", "test", "all"],
    "Which part of the data set; default: test, or all of your own pictures where you have not divided them.",
)
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Evaluate one seed of the run; default: all.")
_BEAM = FLAGS.integer(
    "beam", None, "Width of the beam search that reads strings; default: as in the run's config.", at_least=1
)
_SHIFT_PX = FLAGS.integer(
    "shift_px",
    None,
    "Average over all shifts of a picture by up to this many pixels; default: as in the run's config.",
    at_least=0,
)
_FORMAT = flags.output_format(FLAGS, ["table", "json"])
_DATA_DIR = flags.data_dir(FLAGS)
_MANUAL_DIR = FLAGS.string(
    "manual_dir",
    None,
    "Folder with the original files, or with your own pictures; default: that of the run.",
    kind="FOLDER",
)
_MATCH = FLAGS.choice(
    "match", "name", ["name", "position"], "How the classes of --dataset are matched to those of the model."
)
_CLASS_MAP = FLAGS.string(
    "class_map", "", "File that renames the classes of --dataset=folder: a line NAME,CLASS for each.", kind="FILE"
)
_LABEL_COLUMN, _PIXEL_SCALE, _ORIENTATION = flags.reading(FLAGS)
_PAGES = FLAGS.string("pages", None, "Folder of pages and a ground_truth.json, to be read as scan does.", kind="FOLDER")
_CORRUPTIONS = FLAGS.boolean("corruptions", "Read the images made worse in fifteen ways and five strengths.")


def main() -> int:
    """Prints the metrics of the chosen states; returns the exit code."""
    pages = _pages_alone() if _PAGES.value is not None else None
    named = None if pages and _WORKDIR.value is None else command.folder("workdir", _WORKDIR.value)
    from hwr_jax.cli import console, details
    from hwr_jax.data import cache
    from hwr_jax.inference import evaluation, packaged, predictor
    from hwr_jax.steps import compile_cache
    from hwr_jax.workdir import run_folder

    folder = named or packaged.FOLDER
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
    if pages:
        return _read_pages(model, pages, screen)
    dataset, split = _load(config, model.facts, screen.print)
    arrays = _part(dataset, split)
    _say_absent(arrays, model, screen.print)
    if _CORRUPTIONS.value:
        return _read_corrupted(model, arrays, f"{dataset.name} {split}", screen)
    outputs = model.outputs(arrays)
    scores = evaluation.scores(arrays, outputs) | {"ensemble": evaluation.ensemble(arrays, outputs)}
    scores["selective"] = evaluation.selective(arrays, outputs)
    facts = {
        "dataset": dataset.name,
        "split": split,
        "examples": len(arrays.label),
        "trained_on": model.facts["name"],
        "classes": model.facts["classes"],
        "checkpoint": _CHECKPOINT.value or config.eval.checkpoint,
        "seeds": model.seeds,
    }
    codes = run_folder.codes(run_folder.read_environment(folder))
    if several := console.several_codes(codes):
        facts["code"] = codes
    if _FORMAT.value == "json":
        print(json.dumps({**facts, **scores}, indent=2))
        return errors.DONE
    screen.print(
        f"{folder} ({console.trained_on(model.facts['name'])}; {facts['checkpoint']} state, seeds {model.seeds}) on "
        f"{dataset.name} {split} ({facts['examples']:,} images):"
    )
    screen.print(console.results_table(scores))
    screen.print(details.table(scores, model.facts["classes"]))
    screen.print(details.of_selective(scores["selective"]))
    if several:
        screen.print(several)
    return errors.DONE


def _pages_alone() -> Path:
    """Returns the folder of --pages. Raises ConfigError if a flag is set that has no meaning for pages."""
    if set_too := [name for name in FLAGS if FLAGS[name].present and name not in OF_PAGES]:
        raise errors.ConfigError(f"--{set_too[0]} does not apply to --pages: leave one of them out")
    return command.folder("pages", _PAGES.value)


def _read_pages(model, folder: Path, screen) -> int:
    """Prints how well the pages of a folder are read."""
    from rich.table import Table

    from hwr_jax.inference import page_scores, scan

    found = page_scores.score(model, folder, log=screen.print)
    if _FORMAT.value == "json":
        print(json.dumps({"pages_of": str(folder), "seeds": model.seeds, **found}, indent=2))
        return errors.BAD_DATA if found["unread"] else errors.DONE
    table = Table("medium", *(("pages", "lines", "characters", "character error rate", "exact lines", "exact pages")))
    for name, scores in [*found["by_medium"].items(), ("all", found)]:
        counts = [f"{scores[key]:,}" for key in ("pages", "lines", "characters")]
        shares = [f"{100 * scores[key]:.2f} %" for key in ("cer", "exact_lines", "exact_pages")]
        table.add_row(printable.line(name), *counts, *shares)
    screen.print(table)
    screen.print(f"{found['ms']:.0f} ms a page (median)" if found["ms"] else "No page could be read.")
    for page in found["wrong"][:SHOWN]:
        screen.print(printable.line(f"  {page['image']}: {' / '.join(page['read'])}, not {' / '.join(page['truth'])}"))
    if len(found["wrong"]) > SHOWN:
        screen.print(f"  and {len(found['wrong']) - SHOWN} more: --format=json lists them")
    if found["skipped"]:
        screen.print(f"Marks that were not read: {scan.in_words(found['skipped'])}")
    return errors.BAD_DATA if found["unread"] else errors.DONE


def _read_corrupted(model, arrays, of: str, screen) -> int:
    """Prints the accuracy on images made worse."""
    from rich.table import Table

    from hwr_jax.data import corruptions
    from hwr_jax.inference import corruption_scores

    if model.reads_strings:
        raise errors.ConfigError("--corruptions is for models of single characters: leave it out")
    found = corruption_scores.score(model, arrays, log=screen.print)
    if _FORMAT.value == "json":
        print(json.dumps({"images_of": of, "seeds": model.seeds, **found}, indent=2))
        return errors.DONE
    table = Table("accuracy", *(f"strength {s}" for s in corruptions.STRENGTHS), "mean", title=of)
    for family, kinds in corruptions.FAMILIES.items():
        for kind in kinds:
            table.add_row(kind, *(f"{100 * x:.2f} %" for x in [*found["accuracy"][kind], found["kinds"][kind]]))
        table.add_row(f"{family}, all", *[""] * 5, f"{100 * found['families'][family]:.2f} %", end_section=True)
    table.add_row("all", *[""] * 5, f"{100 * found['mean']:.2f} %")
    screen.print(table)
    screen.print(f"The same images as they are: {100 * found['clean']:.2f} %")
    return errors.DONE


def _load(config, facts: dict, log):
    """Loads the data set that --dataset names, with the model's classes; the run's own must not have changed. Returns
    it and the split to evaluate on."""
    from hwr_jax import data
    from hwr_jax.data import configured
    from hwr_jax.pictures.tables import Reading

    name = _DATASET.value or config.data.name
    given = Reading(_LABEL_COLUMN.value, _PIXEL_SCALE.value, _ORIENTATION.value)
    is_own = name == config.data.name and not (name == data.OWN and _DATASET.value and _MANUAL_DIR.value)
    if (given != Reading() or _CLASS_MAP.value) and (is_own or name != data.OWN):
        raise errors.ConfigError(
            "--label_column, --pixel_scale, --orientation and --class_map apply to your own pictures only: use them "
            "with --dataset=folder --manual_dir=FOLDER"
        )
    if is_own and _MANUAL_DIR.value and configured.whose_files(config) == "digits":
        raise errors.ConfigError(
            f"--manual_dir={_MANUAL_DIR.value} has no effect on digits, which come with scikit-learn: to evaluate on "
            "your own pictures add --dataset=folder"
        )
    if is_own:
        dataset = configured.load_of_run(config, facts, _DATA_DIR.value, log, manual_dir=_MANUAL_DIR.value or "")
    else:
        dataset = configured.load_other(
            config,
            name,
            _DATA_DIR.value,
            log,
            manual_dir=_MANUAL_DIR.value or "",
            given=given,
            class_map=_CLASS_MAP.value,
        )
    there, here = list(dataset.train.image.shape[1:]), facts["shape"]
    if there != here:
        raise errors.ConfigError(
            f"--dataset={name} has images of {there[0]}x{there[1]} pixels, this model reads {here[0]}x{here[1]}"
        )
    if _MATCH.value == "name":
        hint = "rename them with --class_map, or use --match=position if only their names differ"
        if dataset.train.label.ndim > 1:
            hint = "leave these lines out, or train on lines that have such characters"
        dataset = data.with_classes(dataset, tuple(facts["classes"]), log=log, hint=hint)
    elif len(dataset.classes) > len(facts["classes"]):
        raise errors.ConfigError(
            f"--match=position: {name} has {len(dataset.classes)} classes, this model {len(facts['classes'])}"
        )
    else:
        pairs = zip(dataset.classes, facts["classes"], strict=False)
        log(f"{name}, by position: {', '.join(f'{there} is {here}' for there, here in pairs if there != here)}")
    split = _SPLIT.value or ("all" if dataset.drawn_test and not is_own else "test")
    if split == "all" and (is_own or dataset.sha256 == facts["sha256"]):
        log(f"All of {name} includes the pictures that the run was trained on.")
    return dataset, split


def _say_absent(arrays, model, log) -> None:
    """Logs which of the model's classes have no picture; of strings nothing."""
    import numpy as np

    if model.reads_strings:
        return
    counts = np.bincount(np.asarray(arrays.label), minlength=len(model.classes))
    absent = [name for name, count in zip(model.classes, counts, strict=False) if not count]
    if absent:
        names = ", ".join(absent[:SHOWN]) + (", ..." if len(absent) > SHOWN else "")
        log(f"{len(absent)} of the model's {len(model.classes)} classes have no picture here: {names}")


def _part(dataset, split: str):
    """Returns a split of a data set, or all of it. Raises ConfigError if there is nothing in it."""
    import numpy as np

    from hwr_jax.core.types import Arrays

    parts = [dataset.train, dataset.validation, dataset.test] if split == "all" else [getattr(dataset, split)]
    arrays = Arrays(*(np.concatenate([np.asarray(x) for x in each]) for each in zip(*parts, strict=True)))
    if not len(arrays.label):
        raise errors.ConfigError(f"--split={split} of {dataset.name} has no pictures: use --split=all")
    return arrays


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
