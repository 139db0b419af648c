"""The text of --help: a usage line, what the verb does, the required flags, then the others under their headings."""

from __future__ import annotations

import textwrap

from hwr_jax.cli.verb import REQUIRED, Verb
from hwr_jax.core.printable import PACKAGE

WIDTH = 100
COLUMN = 30  # where the words about a flag begin


def text(program: str, verb: Verb, words: str, arguments: str, keys: str = "") -> str:
    """Returns the help of a verb.

    Args:
      program: what starts it, such as "python -m hwr_jax.main".
      verb: its flags.
      words: what it does, and examples.
      arguments: what it takes beside flags, such as "PICTURE..."; "": nothing.
      keys: the block about the keys of a config, which stands last.
    """
    under: dict[str, list[str]] = {REQUIRED: [], "Flags": []}
    for name in sorted(verb):
        under.setdefault(verb.heading(name), []).append(name)
    required = [f"--{name}={verb.kind(name)}" for name in under[REQUIRED]]
    blocks = [" ".join(filter(None, ["usage:", program, *required, "[--FLAG=VALUE ...]", arguments])), words.strip()]
    for heading, names in under.items():
        entries = [_lines(verb, name) for name in names]
        if heading == "Flags":
            if "config" in verb:
                note = "Set a key of the config. --config=NAME --help lists the keys and their values."
                entries.insert(0, _entry("--config.KEY=VALUE", note))
            entries += [_entry("--help", "Show this help."), _entry("--version", f"Show the version of {PACKAGE}.")]
        if entries:
            blocks.append("\n".join([f"{heading}:", *entries]))
    return "\n\n".join(filter(None, [*blocks, keys]))


def _lines(verb: Verb, name: str) -> str:
    flag = verb[name]
    words, default = flag.help, flag.default
    kind = verb.kind(name)
    words = words.removeprefix(f"<{kind}>: ")  # absl's, of a choice
    if default and default != -1 and "default:" not in words:
        shown = ",".join(default) if isinstance(default, list) else f"{default:g}" if kind == "X" else default
        words = f"{words.removesuffix('.')} (default: {shown})."
    return _entry(f"--{name}={kind}" if kind else f"--{name}", words)


def _entry(left: str, words: str) -> str:
    """Returns the lines about one flag, in two columns."""
    lines = textwrap.wrap(words, WIDTH - COLUMN)
    first = f"  {left}"
    if len(first) + 2 > COLUMN:
        return "\n".join([first, *(" " * COLUMN + line for line in lines)])
    return "\n".join([f"{first:{COLUMN}}{lines[0]}", *(" " * COLUMN + line for line in lines[1:])])
