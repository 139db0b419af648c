"""The flags of hwr-read, parsed with the standard library alone, with the errors of hwr_jax's flags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hwr_jax.cli import scan
from hwr_jax.core.errors import ConfigError


@dataclass
class Flag:
    """A flag and, after parsing, its value."""

    help: str
    default: Any
    kind: str  # what stands for its value in the help
    choices: list[str] | None = None
    value: Any = None
    boolean: bool = False  # none is


class Flags(dict[str, Flag]):
    """The flags by name, a `hwr_jax.cli.verb.Verb`. Each of the first three methods defines one and returns it."""

    def string(self, name: str, default: str | None, words: str, *, kind: str = "TEXT") -> Flag:
        """--name=TEXT."""
        return self.setdefault(name, Flag(words, default, kind))

    def number(self, name: str, default: float, words: str, *, at_least: float) -> Flag:
        """--name=X, which is finite. Raises ValueError unless `at_least` is 0."""
        if at_least != 0:
            raise ValueError("only numbers from 0 are supported")
        return self.setdefault(name, Flag(words, default, "X"))

    def choice(self, name: str, default: str, choices: list[str], words: str) -> Flag:
        """--name=CHOICE."""
        return self.setdefault(name, Flag(words, default, "|".join(choices), choices))

    def kind(self, name: str) -> str:
        """Returns what stands for a flag's value in the help."""
        return self[name].kind

    def heading(self, name: str) -> str:
        """Returns the heading under which the help lists a flag."""
        return "Flags"

    def config_names(self) -> list[str]:
        """None: there is no --config."""
        return []

    def config_keys(self) -> list[str]:
        """None, either."""
        return []


def parse(argv: list[str], flags: Flags) -> list[str]:
    """Sets the values of the flags; returns the arguments that are not flags.

    Args:
      argv: with the name of the program in front.
      flags: their defaults hold where the command line is silent.

    Raises:
      ConfigError: whatever is wrong, in one sentence.
    """
    given, others = scan.given(argv, flags)
    values = dict(given)
    for name, flag in flags.items():
        flag.value = _converted(name, values[name] or "", flag) if name in values else flag.default
    return [*others, *(argv[argv.index("--") + 1 :] if "--" in argv else [])]


def _converted(name: str, text: str, flag: Flag) -> Any:
    if flag.choices and text not in flag.choices:
        raise ConfigError(f"--{name}={text} is not possible: use one of {', '.join(flag.choices)}")
    if flag.kind != "X":
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ConfigError(f"--{name}={text} is not possible: use a non-negative number")
    return number
