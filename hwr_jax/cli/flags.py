"""The flags of the verbs: the ones that several verbs share, and parsing with errors in our own words.

Importing it imports no jax, so that `--help` and a misspelt flag are answered at once.
"""

from __future__ import annotations

import re
from typing import Any

from absl import flags
from ml_collections import config_flags

from hwr_jax.core import errors

Flag = flags.FlagHolder[Any]


class Flags(flags.FlagValues):
    """The flags of one verb. Each method defines a flag and returns its holder, which has a `value` after parsing."""

    def string(self, name: str, default: str | None, words: str) -> Flag:
        """--name=TEXT."""
        return flags.DEFINE_string(name, default, words, flag_values=self)

    def integer(self, name: str, default: int | None, words: str, *, at_least: int | None = None) -> Flag:
        """--name=N."""
        return flags.DEFINE_integer(name, default, words, lower_bound=at_least, flag_values=self)

    def number(self, name: str, default: float | None, words: str, *, at_least: float | None = None) -> Flag:
        """--name=X."""
        return flags.DEFINE_float(name, default, words, lower_bound=at_least, flag_values=self)

    def boolean(self, name: str, words: str) -> Flag:
        """--name, off by default."""
        return flags.DEFINE_bool(name, False, words, flag_values=self)

    def choice(self, name: str, default: str | None, choices: list[str], words: str) -> Flag:
        """--name=CHOICE."""
        return flags.DEFINE_enum(name, default, choices, words, flag_values=self)

    def names(self, name: str, default: list[str], words: str) -> Flag:
        """--name=A,B,C."""
        return flags.DEFINE_list(name, default, words, flag_values=self)


def config(verb: Flags) -> Flag:
    """--config=FILE.py or --config=NAME, with --config.KEY=VALUE for each of its keys."""
    return config_flags.DEFINE_config_file(
        "config",
        None,
        "The experiment (required): NAME or FILE.py, or either with :VARIANT.",
        lock_config=True,
        flag_values=verb,
    )


def workdir(verb: Flags) -> Flag:
    """--workdir of a verb that reads a run."""
    return verb.string("workdir", None, "The run folder (required).")


def out(verb: Flags, words: str) -> Flag:
    """--out: the folder that the verb writes to."""
    return verb.string("out", None, words)


def data_dir(verb: Flags) -> Flag:
    """--data_dir: where tensorflow-datasets keeps its data."""
    return verb.string(
        "data_dir", None, "Folder of tensorflow-datasets; default: TFDS_DATA_DIR, else ~/tensorflow_datasets."
    )


def devices(verb: Flags, default: str = "all") -> Flag:
    """--devices; `default` says what 0 means."""
    return verb.integer("devices", 0, f"Number of devices to use; 0: {default}.", at_least=0)


def checkpoint(verb: Flags) -> Flag:
    """--checkpoint: which state of a run is loaded."""
    return verb.choice("checkpoint", None, ["last", "best"], "Which state to load; default: as in the run's config.")


def reading(verb: Flags) -> tuple[Flag, Flag, Flag]:
    """--label_column, --pixel_scale, --orientation: how tables and files of grey values are read."""
    return (
        verb.string("label_column", "", "Of a table: the label's column, by its name, or first, last."),
        verb.number(
            "pixel_scale", 0.0, "Of files of grey values: the value of full ink or of white; 0: found.", at_least=0
        ),
        verb.choice(
            "orientation",
            "upright",
            ["upright", "transposed"],
            "Of files of grey values; those of EMNIST are transposed.",
        ),
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
      ConfigError: whatever is wrong, in one sentence.
    """
    if "config" in verb:
        argv = _checked_config(argv)
    try:
        left = verb(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        known = ", ".join(f"--{name}" for name in sorted(verb))
        raise errors.ConfigError(f"--{error.flagname} is not a flag of this command: use one of {known}") from error
    except flags.IllegalFlagValueError as error:
        raise errors.ConfigError(_illegal_value(str(error), verb)) from error
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        text = str(error).strip().splitlines()
        raise errors.ConfigError(text[0] if text else type(error).__name__) from error
    if left and not arguments:
        raise errors.ConfigError(f"unexpected argument {left[0]!r}: flags are written --name=value")
    if "config" in verb:
        from hwr_jax.config import defaults

        loaded: Any = verb["config"].value  # absl has read the file itself
        defaults.fill(loaded)
    return left


def _illegal_value(text: str, verb: Flags) -> str:
    """Turns absl's "flag --devices=x: invalid literal for int() ..." into what is wrong and what is allowed."""
    found = re.match(r"flag --([\w.]+)=(.*?): ", text)
    flag = verb[found[1]] if found else None
    allowed = "" if flag is None else "true or false" if flag.boolean else flag.parser.syntactic_help
    return f"--{found[1]}={found[2]} is not possible: use {allowed}" if found and allowed else text.splitlines()[0]


def _checked_config(argv: list[str]) -> list[str]:
    """Returns the command line with a path in place of a config's name, which absl does not know.

    Loads the config once before absl does, for errors in our own words.
    """
    from hwr_jax.config import configs, shipped

    path, argv = "", list(argv)
    for i, argument in enumerate(argv):
        if found := re.match(r"--?config(?:=(.*))?$", argument):
            given = found[1] if found[1] is not None else "".join(argv[i + 1 : i + 2])
            path = shipped.resolve(given)
            if found[1] is not None:
                argv[i] = f"--config={path}"
            elif given:
                argv[i + 1] = path
    if not path:
        raise errors.ConfigError("--config is missing: name a config, such as --config=cnn or --config=mine.py")
    config = configs.load(path)
    for argument in argv[1:]:
        if found := re.match(r"--?(?:no)?config\.([\w.]+)", argument):
            configs.require_key(config, found[1])
    return argv
