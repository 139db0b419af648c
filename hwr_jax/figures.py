"""Draws what a trained run learned, alone or beside other runs: `python -m hwr_jax.figures --workdir=runs/cnn`."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from hwr_jax.cli import command, flags
from hwr_jax.core import canvas, errors

USAGE = """\
Draws a finished run into its folder figures/, or into --out: learning curves, calibration, errors among what is
accepted, the table of the classes, the confusion matrix, the hardest test images with their disputed labels, a map of
the test images (t-SNE of the last hidden layer), the pixels that decide, and the first layer. With --compare, those
that can show several runs show them all. With --image it draws only what the model sees of that picture.

    python -m hwr_jax.figures --workdir=runs/cnn
    python -m hwr_jax.figures --workdir=runs/cnn --compare=runs/mlp,runs/nesterov --out=figures
    python -m hwr_jax.figures --workdir=runs/cnn --only=hardest,evidence --dark
    python -m hwr_jax.figures --workdir=runs/cnn --image=photo.jpg
"""
NAMES = (
    "curves", "calibration", "risk_coverage", "classes", "confusion", "hardest", "embedding", "evidence", "features",
)  # fmt: skip

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS)
_COMPARE = FLAGS.names("compare", [], "Other runs of the same data set, to draw beside it.", kind="FOLDER,...")
_ONLY = FLAGS.names("only", [], f"Draw only these: {', '.join(NAMES)}; default: all.")
_IMAGE = FLAGS.string("image", None, "A picture of one character: draw what the model sees of it.", kind="PICTURE")
_SEED = FLAGS.integer("seed", None, "The seed whose network is opened; default: the run's first.")
_OUT = flags.out(FLAGS, "Where the figures are written; default: figures/ in the run folder.")
_DARK = FLAGS.boolean("dark", "Light ink on dark paper.")
_DATA_DIR = flags.data_dir(FLAGS)


def main() -> int:
    """Draws the figures, and prints the path of each; returns the exit code. Raises ConfigError for flags that do not
    fit."""
    folder = command.folder("workdir", _WORKDIR.value)
    others = [command.folder("compare", name) for name in _COMPARE.value]
    if unknown := [name for name in _ONLY.value if name not in NAMES]:
        raise errors.ConfigError(f"--only={unknown[0]} is not possible: use any of {', '.join(NAMES)}")
    if _ONLY.present and not _ONLY.value:
        raise errors.ConfigError(f"--only is empty: use any of {', '.join(NAMES)}")
    if _COMPARE.present and not others:
        raise errors.ConfigError("--compare is empty: name run folders, such as --compare=runs/mlp,runs/cnn")
    if _IMAGE.value == "":
        raise errors.ConfigError("--image is empty: name a picture, such as --image=photo.jpg")
    if _IMAGE.value is not None and (others or _ONLY.value):
        raise errors.ConfigError("--image draws one figure, of one run: leave --compare and --only out")
    from hwr_jax.cli import console, folders
    from hwr_jax.drawing import record

    screen = console.make_console()
    records = record.read([folder, *others])
    seed = records[0].seeds[0] if _SEED.value is None else _SEED.value
    if seed not in records[0].seeds:
        raise errors.ConfigError(
            f"--seed={seed} was not trained in {folder}; use one of {', '.join(map(str, records[0].seeds))}"
        )
    out = command.folder("out", _OUT.value, str(folder / "figures"))
    folders.made("out", str(out))
    with canvas.themed(canvas.DARK if _DARK.value else canvas.LIGHT):
        if _IMAGE.value is not None:
            return _draw_picture(records[0], seed, Path(_IMAGE.value).expanduser(), out, screen)
        _draw(records, seed, out, screen)
    return errors.DONE


def _draw(records, seed: int, out: Path, screen) -> None:
    """Draws the figures of runs; data and network are loaded once, and only if a figure needs them."""
    from hwr_jax.data import configured
    from hwr_jax.drawing import network, sheets
    from hwr_jax.workdir import run_folder

    first = records[0]

    @functools.cache
    def test():
        config = run_folder.read_config(first.folders[seed])
        return configured.load_of_run(config, first.facts, _DATA_DIR.value, screen.print).test

    @functools.cache
    def opened():
        return network.open_run(first.folders[seed], seed=seed, log=screen.print)

    for name in _ONLY.value or NAMES:
        several = len(records) > 1 and sheets.shows_several(name)
        path = out / (f"compared_{name}.png" if several else f"{name}.png")
        if sheets.draw(name, path, records, test, opened):
            screen.print(str(path))
        else:
            screen.print(f"{name}: nothing to draw for {first.name}, which {sheets.why_not(name, first)}")


def _draw_picture(record, seed: int, picture: Path, out: Path, screen) -> int:
    """Draws what one network sees of a picture."""
    from hwr_jax.drawing import network, own_picture
    from hwr_jax.pictures import decode

    if record.reads_strings:
        raise errors.ConfigError(f"--image is for models of single characters, and {record.name} reads strings")
    opened = network.open_run(record.folders[seed], seed=seed, log=screen.print)
    _, content = decode.content_of(picture)
    digest = hashlib.sha256(content).hexdigest()[:8]  # two pictures of one name have a figure each
    path = out / f"own_picture_{picture.stem}_{digest}.png"
    read, sure = own_picture.draw(path, record.name, opened, picture, content)
    screen.print(f"{path} (read: {read}, {sure:.1%})")
    return errors.DONE


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
