"""The flags of the verbs: the ones that several verbs share, and parsing with errors in our own words.

Importing it imports no jax, so that `--help` and a misspelt flag are answered at once.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from absl import flags
from ml_collections import config_flags

from hwr_jax.cli import scan
from hwr_jax.cli.verb import REQUIRED
from hwr_jax.config import configs, shipped
from hwr_jax.core import errors

Flag = flags.FlagHolder[Any]


class Flags(flags.FlagValues):
    """The flags of one verb. Each method defines a flag and returns its holder, which has a `value` after parsing.

    `words` say what the flag does, and what holds without it unless that is the `default` itself, which the help adds.
    `kind` is what stands for the value in the help; a `required` flag stands first there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["shown"] = {}  # absl takes other attributes for flags
        self.__dict__["under"] = "Flags"

    def begin(self, heading: str) -> None:
        """Puts the flags that are defined from now on under this heading of the help."""
        self.__dict__["under"] = heading

    def string(self, name: str, default: str | None, words: str, *, kind: str = "TEXT", required: bool = False) -> Flag:
        """--name=TEXT."""
        return self._noted(kind, required, flags.DEFINE_string(name, default, words, flag_values=self))

    def integer(
        self, name: str, default: int | None, words: str, *, at_least: int | None = None, kind: str = "N"
    ) -> Flag:
        """--name=N."""
        flag = flags.DEFINE_integer(name, default, words, lower_bound=at_least, flag_values=self)
        return self._noted(kind, False, flag)

    def number(
        self, name: str, default: float | None, words: str, *, at_least: float | None = None, kind: str = "X"
    ) -> Flag:
        """--name=X, which is finite."""
        flag = flags.DEFINE_float(name, default, words, lower_bound=at_least, flag_values=self)
        flags.register_validator(name, lambda value: value is None or math.isfinite(value), flag_values=self)
        return self._noted(kind, False, flag)

    def boolean(self, name: str, words: str) -> Flag:
        """--name, off by default."""
        return self._noted("", False, flags.DEFINE_bool(name, False, words, flag_values=self))

    def choice(self, name: str, default: str | None, choices: list[str], words: str, *, required: bool = False) -> Flag:
        """--name=CHOICE."""
        flag = flags.DEFINE_enum(name, default, choices, words, flag_values=self)
        return self._noted("|".join(choices), required, flag)

    def names(self, name: str, default: list[str], words: str, *, kind: str = "NAME,...") -> Flag:
        """--name=A,B,C."""
        return self._noted(kind, False, flags.DEFINE_list(name, default, words, flag_values=self))

    def config_file(self, words: str) -> Flag:
        """--config=FILE.py or --config=NAME, with --config.KEY=VALUE for each of its keys."""
        # The command line on which ml_collections looks for keys: `parse` fills it.
        line = self.__dict__["line"] = [""]
        flag = config_flags.DEFINE_config_file("config", None, words, lock_config=True, flag_values=self, sys_argv=line)
        return self._noted("CONFIG", True, flag)

    def _noted(self, kind: str, required: bool, flag: Flag) -> Flag:
        self.__dict__["shown"][flag.name] = (kind, REQUIRED if required else self.__dict__["under"])
        return flag

    def kind(self, name: str) -> str:
        """Returns what stands for a flag's value in the help; "": it takes none."""
        return self.__dict__["shown"][name][0]

    def heading(self, name: str) -> str:
        """Returns the heading under which the help lists a flag."""
        return self.__dict__["shown"][name][1]

    def config_names(self) -> list[str]:
        """Returns the names of the configs that come with the package."""
        return shipped.names()

    def config_keys(self) -> list[str]:
        """Returns the keys that a config may have."""
        return list(configs.flatten(configs.load_module(shipped.folder() / "base.py").get_config()))

    def set_line(self, argv: list[str]) -> None:
        """Sets the command line on which the keys of the config are looked for."""
        self.__dict__["line"][:] = argv


def config(verb: Flags) -> Flag:
    """--config=FILE.py or --config=NAME, with --config.KEY=VALUE for each of its keys."""
    names = ", ".join(shipped.names())
    return verb.config_file(f"The experiment: a Python file, or one of {names}. CONFIG:smoke is the size of a test.")


def workdir(verb: Flags, *, without: str = "") -> Flag:
    """--workdir of a verb that reads a run; `without` says what holds without it, "": it is required."""
    words = "The run folder, such as runs/cnn" + (f"; default: {without}." if without else ".")
    return verb.string("workdir", None, words, kind="FOLDER", required=not without)


def out(verb: Flags, words: str) -> Flag:
    """--out: the folder that the verb writes to."""
    return verb.string("out", None, words, kind="FOLDER")


def data_dir(verb: Flags) -> Flag:
    """--data_dir: where tensorflow-datasets keeps its data."""
    words = "Where tensorflow-datasets keeps its data; default: TFDS_DATA_DIR, else ~/tensorflow_datasets."
    return verb.string("data_dir", None, words, kind="FOLDER")


def devices(verb: Flags, default: str = "all") -> Flag:
    """--devices; `default` says what 0 means."""
    return verb.integer("devices", 0, f"Number of devices to use; default: {default}.", at_least=0)


def checkpoint(verb: Flags) -> Flag:
    """--checkpoint: which state of a run is loaded."""
    words = "The state after the last step, or the best one on validation; default: as in the run's config."
    return verb.choice("checkpoint", None, ["last", "best"], words)


def reading(verb: Flags) -> tuple[Flag, Flag, Flag]:
    """--label_column, --pixel_scale, --orientation: how tables and files of grey values are read."""
    column = "The label's column of a table: its name, or first or last; default: found by its name or content."
    scale = "The value of full ink or of white in files of grey values: 1, 16 or 255, say; default: detected."
    turned = "How files of grey values are stored; those of EMNIST are transposed."
    return (
        verb.string("label_column", "", column, kind="NAME"),
        verb.number("pixel_scale", 0.0, scale, at_least=0),
        verb.choice("orientation", "upright", ["upright", "transposed"], turned),
    )


def output_format(verb: Flags, formats: list[str]) -> Flag:
    """--format of what is printed; the first of `formats` is the default."""
    return verb.choice("format", formats[0], formats, "How to print the results.")


def parse(argv: list[str], verb: Flags, *, arguments: bool = False) -> list[str]:
    """Parses the command line and returns the arguments that are not flags.

    Args:
      argv: with the name of the program in front.
      verb: the flags; their holders have their values afterwards.
      arguments: whether the verb takes arguments that are not flags.

    Raises:
      ConfigError: whatever is wrong, in one sentence. A misspelt flag comes before a missing one.
    """
    given, others = scan.given(argv, verb)
    if "config" in verb:
        if others and "config" not in dict(given):
            raise errors.ConfigError(scan.unexpected(others[0], verb))
        argv = _checked_config(argv, given)
        verb.set_line(argv)
    try:
        left = verb(argv)[1:]
    except flags.IllegalFlagValueError as error:
        raise errors.ConfigError(_illegal_value(str(error), verb)) from error
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        missing = re.fullmatch(r"Missing value for flag -*(.*)", text)
        raise errors.ConfigError(scan.missing_value(missing[1]) if missing else text) from error
    if left and not arguments:
        raise errors.ConfigError(scan.unexpected(left[0], verb))
    if "config" in verb:
        from hwr_jax.config import defaults

        loaded: Any = verb["config"].value  # absl has read the file itself
        defaults.fill(loaded)
    return left


def _illegal_value(text: str, verb: Flags) -> str:
    """Turns absl's "flag --devices=x: invalid literal for int() ..." into what is wrong and what is allowed."""
    found = re.match(r"flag --([\w.]+)=(.*?): ", text)
    if not found:
        return text.splitlines()[0]
    flag = verb[found[1]]
    if isinstance(flag.parser, flags.EnumParser):
        allowed = f"one of {', '.join(flag.parser.enum_values)}"
    else:
        allowed = "true or false" if flag.boolean else flag.parser.syntactic_help
    return f"--{found[1]}={found[2]} is not possible: use {allowed}" if allowed else text.splitlines()[0]


def _checked_config(argv: list[str], given: list[tuple[str, str | None]]) -> list[str]:
    """Returns the command line with a path in place of a config's name, which absl does not know, and in front of the
    keys that are set.

    Loads the config once before absl does, for errors in our own words.
    """
    typed = dict(given).get("config")
    if not typed:
        raise errors.ConfigError("--config is missing: name a config, such as --config=cnn or --config=mine.py")
    path = shipped.resolve(typed)
    config, values = configs.load(path), dict[str, str]()
    flat = configs.flatten(config)
    for name, value in given:
        if found := re.match(r"(?:no)?config\.(.*)", name):
            key = found[1]
            configs.require_key(config, key)
            value = ("false" if name.startswith("no") else "true") if value is None else value
            many = isinstance(flat[key], list)  # a tuple may be given value by value
            if values.get(key, value) != value and not many:  # as a script does that appends what it was given
                print(f"hwr_jax: --config.{key} is given twice: {value} counts, not {values[key]}", file=sys.stderr)
            values[key] = value
    return [argv[0], f"--config={path}", *_without_config(argv[1:])]


def _without_config(arguments: list[str]) -> list[str]:
    """Returns the arguments without --config=VALUE and --config VALUE."""
    left, rest = [], iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*left, argument, *rest]
        if re.fullmatch(r"--?config", argument):
            next(rest, None)
        elif not re.match(r"--?config=", argument):
            left.append(argument)
    return left
