"""A first look at a command line, before any value is converted: unknown flags, missing values, contradictions.

It knows what was probably meant: the nearest flag, the config key of a bare name, the equals sign that is missing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from hwr_jax.cli.verb import Verb
from hwr_jax.core.errors import ConfigError

SHORT = {"lr": "optim.learning_rate", "wd": "optim.weight_decay", "bs": "batch_size", "optimizer": "optim.name"}
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"  # what text editors make of a hyphen


def given(argv: list[str], verb: Verb) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Returns (name, value) of each flag on the command line (None: without one), and the other arguments.

    Args:
      argv: with the name of the program in front.
      verb: the flags of the verb.

    Raises:
      ConfigError: a flag is unknown, lacks its value, or is given twice with different values.
    """
    both = list(_flags(argv, verb))
    found = [(name, value) for name, value in both if name]
    seen: dict[str, str] = {}
    for name, value in found:
        if _is_of_config(name, verb):
            continue
        if name not in verb:
            name, value = name.removeprefix("no"), "false"
        value = "true" if value is None else value
        if seen.setdefault(name, value) != value:
            raise ConfigError(f"--{name} is given twice, as {seen[name]} and as {value}: give it once")
    return found, [value for name, value in both if not name and value is not None]


def missing_value(name: str) -> str:
    """Returns the sentence about a flag without its value."""
    return f"--{name} is missing its value: write --{name}=VALUE"


def _flags(argv: list[str], verb: Verb) -> Iterator[tuple[str, str | None]]:
    """Yields (name, value) of each flag, and ("", argument) of each other argument that cannot be a flag's value."""
    rest, before = iter(argv[1:]), ""
    for argument in rest:
        if argument == "--":
            return
        if not argument.strip("-") or not argument.startswith("-") or re.match(r"-[\d.]", argument):
            if not _is_of_config(before, verb):  # whose value it may be
                yield "", argument
            before = ""
            continue
        name, equals, value = argument[2 if argument.startswith("--") else 1 :].partition("=")
        if name not in verb and not _is_of_config(name, verb) and not _is_negated(name, verb):
            raise ConfigError(_unknown(argument.partition("=")[0], name, value, verb))
        if equals:
            yield name, value
        elif name in verb and not verb[name].boolean:
            following = next(rest, "")
            if not following or following.startswith("--"):
                raise ConfigError(missing_value(name))
            if following == "=":
                raise ConfigError(f"--{name} = ... has spaces around the equals sign: write --{name}=VALUE")
            yield name, following
        else:
            yield name, None
            before = name


def _is_of_config(name: str, verb: Verb) -> bool:
    return "config" in verb and re.match(r"(no)?config\.", name) is not None


def _is_negated(name: str, verb: Verb) -> bool:
    return name.startswith("no") and name[2:] in verb and verb[name[2:]].boolean


def _unknown(typed: str, name: str, value: str, verb: Verb) -> str:
    """Returns the sentence about a flag that the verb does not have."""
    wrong = f"{typed if typed.startswith('--') else f'--{name}'} is not a flag of this command"
    if re.match(r"(no)?config(\.|$)", name):
        for file in ("study", "search"):
            if file in verb:
                return f"{wrong}: the configs are in the file that --{file} names"
        if "workdir" in verb:
            return f"{wrong}: the run in --workdir has a config of its own"
    meant = nearest(name, value, verb)
    known = ", ".join(f"--{name}" for name in sorted(verb))
    return f"{wrong}: did you mean {meant}?" if meant else f"{wrong}: use one of {known}"


def nearest(name: str, value: str, verb: Verb) -> str:
    """Returns the flag, or the config key as a flag, that a name which is not a flag probably stands for; "": none."""
    end = f"={value}" if value else ""
    known = [flag for flag in verb if flag != "config"]
    if name.replace("-", "_").lower() in known:
        return f"--{name.replace('-', '_').lower()}{end}"
    keys = verb.config_keys() if "config" in verb else []
    name = SHORT.get(name, name) if keys else name
    plain = name.replace("-", "_").lower()
    if same := [key for key in keys if plain == key] or [key for key in keys if plain == key.rpartition(".")[2]]:
        return " or ".join(f"--config.{key}{end}" for key in same[:3])
    of_config = {**{key.rpartition(".")[2]: f"config.{key}" for key in keys[::-1]}, **{k: f"config.{k}" for k in keys}}
    of_verb = {flag: flag for flag in [*known, *(["config"] if keys else [])]}
    near = difflib.get_close_matches(name, of_config, n=1, cutoff=0.8)  # many are short, and like any word
    near = difflib.get_close_matches(name, [*near, *difflib.get_close_matches(name, of_verb, n=1, cutoff=0.6)], n=1)
    return f"--{(of_config | of_verb)[near[0]]}{end}" if near else ""


def unexpected(argument: str, verb: Verb) -> str:
    """Returns the sentence about an argument that is not a flag, for a verb that takes none."""
    wrong, name, value = f"unexpected argument {argument!r}", *argument.partition("=")[::2]
    if argument[:1] in DASHES:
        return f"{wrong}: a flag begins with two hyphens, as in --{argument.lstrip(DASHES + '-')}"
    if value:
        flag = name in verb or _is_of_config(name, verb)
        meant = f"--{argument}" if flag else nearest(name, value, verb)
        return f"{wrong}: did you mean {meant}?" if meant else f"{wrong}: flags are written --name=value"
    stem = argument.partition(":")[0]
    takes = [flag for flag in ("config", "study", "search", "workdir") if flag in verb]
    if takes and (Path(stem).exists() or (takes[0] == "config" and stem in verb.config_names())):
        return f"{wrong}: did you mean --{takes[0]}={argument}?"
    return f"{wrong}: flags are written --name=value"
