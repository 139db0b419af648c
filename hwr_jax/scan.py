"""Reads pages of digits: `python -m hwr_jax.scan PICTURE...`."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

from hwr_jax.cli import command, flags
from hwr_jax.inference import pages

if TYPE_CHECKING:
    from typing import Any

    from rich.console import Console

    from hwr_jax.inference.scan import Page

USAGE = f"""\
{pages.WHAT}

    python -m hwr_jax.scan photo.jpg
    python -m hwr_jax.scan --format=json --reject_below=0.9 scans/ > read.json
    python -m hwr_jax.scan --annotate=checked scans/
    python -m hwr_jax.scan --mode=line --debug=steps code.png
    python -m hwr_jax.scan --workdir=runs/cnn photo.jpg    (your own model)
"""

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS, without="the model that comes with hwr_jax")
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Use one seed of the run; default: the mean probability of all.")
_ASKED = pages.define(FLAGS)


def main(paths: list[str]) -> int:
    """Prints what each picture says; returns the exit code, which is 66 if a picture could not be read."""
    pages.need(paths)
    asked = _ASKED()
    from hwr_jax.cli import console
    from hwr_jax.inference import packaged

    screen = console.make_console(stderr=asked.format != "table")
    folder = None if _WORKDIR.value is None else command.folder("workdir", _WORKDIR.value)
    model = packaged.open_for_pictures(folder, which=_CHECKPOINT.value or "", seed=_SEED.value, log=screen.print)
    screen.print(packaged.said_of(model, folder))
    return pages.run(model, paths, asked, lambda read: _show(read, screen))


def _show(read: list[Page], screen: Console) -> None:
    from rich.table import Column, Table

    image, line, *others = pages.TABLE
    table = Table(Column(image, overflow="fold"), Column(line, justify="right"), *others)
    for row in pages.rows(read):
        table.add_row(*row)
    screen.print(table)


class _AsFunction(types.ModuleType):
    """Where this module has been imported, `hwr_jax.scan` is it, and calling it still reads a picture."""

    def __call__(self, *args: Any, **options: Any) -> Page:
        from hwr_jax.inference import packaged

        return packaged.scan(*args, **options)


sys.modules[__name__].__class__ = _AsFunction

if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE, arguments="PICTURE...")
