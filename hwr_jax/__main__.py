"""Lists the verbs and runs them: `hwr VERB ...` or `python -m hwr_jax VERB ...` is `python -m hwr_jax.VERB ...`.

A verb is a file beside this one, and its line in the list is the first sentence of its docstring: nothing is imported.
"""

from __future__ import annotations

import ast
import difflib
import re
import runpy
import sys
from pathlib import Path

import hwr_jax
from hwr_jax.core import errors, interrupts

NAMES = {"main": "train"}  # verbs that are called otherwise than their file

EXAMPLES = {
    "hwr train --config=cnn --config.seeds=5": "train a network five times, for error bars",
    "hwr evaluate --workdir=runs/cnn": "the test results of a run, per class",
    "hwr scan photo.jpg": "read a page with the model that comes with hwr_jax",
    "hwr study --help": "compare variants, with error bars",
}


def verbs() -> dict[str, Path]:
    """Returns the verbs, sorted by name, and the file of each."""
    files = [path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")]
    return dict(sorted((NAMES.get(path.stem, path.stem), path) for path in files))


def listing() -> str:
    """Returns the text that lists the verbs, one line each."""
    found = verbs()
    width = max(map(len, found))
    usage = "usage: hwr VERB [--FLAG=VALUE ...]    (hwr VERB --help lists its flags)"
    blocks = [
        [f"  {name:{width}}  {_first_sentence(path)}" for name, path in found.items()],
        ["Examples:", *(f"  {command:43}{what}" for command, what in EXAMPLES.items())],
        ["Exit codes:", *(f"  {code:<5}{meaning}" for code, meaning in errors.MEANING.items())],
    ]
    return "\n\n".join([usage, *("\n".join(block) for block in blocks)])


def _first_sentence(path: Path) -> str:
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"[:.](?:\s|$)", words, maxsplit=1)[0]


def main() -> int:
    """Runs the verb that the first argument names, as its own program; returns the exit code."""
    interrupts.handle_from_now()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    found = verbs()
    if name in ("--help", "-h", "help"):
        print(listing())
        return errors.DONE
    if name == "--version":
        print(f"hwr_jax {hwr_jax.__version__}")
        return errors.DONE
    if name.startswith("-"):
        print(f"hwr_jax: {name} comes before the verb: write hwr VERB {name}", file=sys.stderr)
        return errors.WRONG_CONFIG
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(found)}"
        print(f"hwr_jax: there is no verb {name!r}: {hint}", file=sys.stderr)
        return errors.WRONG_CONFIG
    del sys.argv[1]
    runpy.run_module(f"hwr_jax.{found[name].stem}", run_name="__main__", alter_sys=True)
    return errors.DONE


if __name__ == "__main__":
    sys.exit(main())
