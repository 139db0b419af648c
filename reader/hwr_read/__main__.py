"""The command: `hwr-read PICTURE...`, or `python -m hwr_read PICTURE...`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import hwr_read
from hwr_jax.cli import ending, folders, manual
from hwr_jax.core import errors, interrupts
from hwr_jax.inference import pages
from hwr_read import flags

if TYPE_CHECKING:
    from hwr_jax.inference.scan import Page

USAGE = f"""\
{pages.WHAT}

    hwr-read photo.jpg
    hwr-read --format=json --reject_below=0.9 scans/ > read.json
    hwr-read --annotate=checked scans/
    hwr-read --mode=line --debug=steps code.png
    hwr-read --workdir=exported photo.jpg    (your own model, from `hwr export --format=onnx`; needs onnxruntime)
"""

FLAGS = flags.Flags()
_WORKDIR = FLAGS.string("workdir", None, "An exported model; default: the one that comes with hwr_read.", kind="FOLDER")
_ASKED = pages.define(FLAGS)


def main(argv: list[str]) -> int:
    """Prints what each picture says; returns the exit code. Raises what `ending.classify` knows."""
    before = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    if {"--help", "-h", "-help"} & {*before}:
        print(manual.text("hwr-read", FLAGS, USAGE, "PICTURE..."))
        return errors.DONE
    if "--version" in before:
        print(f"hwr_read {hwr_read.__version__}")
        return errors.DONE
    paths = flags.parse(argv, FLAGS)
    pages.need(paths)
    asked = _ASKED()
    folder = None if _WORKDIR.value is None else folders.named("workdir", _WORKDIR.value)
    model = hwr_read.load(folder)
    own = f"hwr_read {hwr_read.__version__}'s own model, trained on {model.facts['name']} and drawn digits"
    said = own if folder is None else f"{folder}: trained on {model.facts['name']}"
    print(said, file=sys.stdout if asked.format == "table" else sys.stderr)
    return pages.run(model, paths, asked, _show)


def _show(read: list[Page]) -> None:
    cells = [pages.TABLE, *pages.rows(read)]
    image, line, text, confidence = (max(len(row[i]) for row in cells) for i in range(4))
    for row in cells:
        print(f"{row[0]:{image}}  {row[1]:>{line}}  {row[2]:{text}}  {row[3]:>{confidence}}".rstrip())


def run() -> int:
    """The program; returns its exit code."""
    sys.unraisablehook = _again
    interrupts.handle_from_now()
    ending.prepare_streams()
    code = errors.DONE
    try:
        code = main(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        ending.forget_reader()
    except BaseException as error:
        code, message = ending.classify(error)
        ending.say(code, message, error if code == errors.INTERNAL else None)
    return code


def _again(unraisable: sys.UnraisableHookArgs) -> None:
    if not interrupts.again_if_dropped(unraisable):
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    sys.exit(run())
