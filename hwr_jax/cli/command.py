"""What every command shares: flags, one clear sentence per error, and the exit codes of `errors`."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from absl import flags

from hwr_jax.core import errors
from hwr_jax.distributed import processes

ECHOES = ("Event loop is closed", "Encountered error while reading array index")
MAIN_PROCESS_LAST_S = 1.0  # when the lead has gone, JAX aborts the others


def run(main: Callable[[list[str]], int | None], flag_values: flags.FlagValues, *, usage: str) -> None:
    """Parses the flags, runs `main` with the arguments that are no flags, and exits with the code of the table.

    Args:
      main: returns the exit code; None is 0.
      flag_values: the command's own flags.
      usage: shown above the flags by --help.
    """
    argv = sys.argv
    if any(a in ("--help", "-h", "-help", "--helpfull") for a in argv[1:]):
        print(f"{usage.strip()}\n\nFlags:{flag_values.get_help(include_special_flags=False)}")
        sys.exit(errors.DONE)
    code = errors.DONE
    sys.unraisablehook = leave_out_echoes
    try:
        arguments = _parse(argv, flag_values)
        code = main(arguments[1:]) or errors.DONE
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has gone: nothing to tell, and nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BaseException as error:
        _leave_at_once(report(error))
    processes.end()
    sys.exit(code)


def _leave_at_once(code: int) -> NoReturn:
    """Ends the process without the interpreter's teardown: in it jaxlib crashes (segmentation fault) when a signal has
    raised an exception in the middle of a compilation, orbax waits without end for a save that has failed, and one of
    many processes waits for the others, which wait for it. Whoever had something to save has saved it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads
            stream.flush()
    if processes.many() and processes.is_main_process():
        time.sleep(
            MAIN_PROCESS_LAST_S
        )  # where all leave for the same reason, the others are to do so with their own code
    os._exit(code)


def leave_out_echoes(unraisable: sys.UnraisableHookArgs) -> None:
    """Leaves out the echoes of a failed save or restore: after the first error, which `report` tells, orbax closes its
    event loop, each of tensorstore's threads that is not done complains of that, and each array tells what it is."""
    if not str(unraisable.exc_value).startswith(ECHOES):
        sys.__unraisablehook__(unraisable)


def report(error: BaseException) -> int:
    """Prints an error as the user should see it, to standard error, and returns its exit code."""
    code, message = classify(error)
    with contextlib.suppress(OSError):  # nobody reads
        if code == errors.INTERNAL and not processes.is_of_another(error):
            traceback.print_exception(error)
            message = f"internal error (this is a defect of hwr_jax): {message}"
        if message:
            print(f"hwr_jax: {message}", file=sys.stderr)
    return code


def classify(error: BaseException) -> tuple[int, str]:
    """Returns the exit code and the sentence of an error."""
    match error:
        case SystemExit():  # rich's answer to a reader that has gone
            return errors.INPUT_OUTPUT, "standard output was closed before the end"
        case errors.Stopped():
            return error.code, str(error)
        case KeyboardInterrupt():
            return errors.INTERRUPTED, "interrupted"
        case errors.ConfigError() | flags.Error():
            return errors.WRONG_CONFIG, str(error)
        case errors.DataError():
            return errors.BAD_DATA, str(error)
        case errors.NotFiniteError():
            return errors.NOT_FINITE, str(error)
        case MemoryError():
            return errors.OUT_OF_MEMORY, _memory_hint()
        case OSError():
            return errors.INPUT_OUTPUT, _file_sentence(error)
    if processes.is_of_another(error):
        return errors.INTERNAL, "another process of this job has ended: its output says why"
    if "RESOURCE_EXHAUSTED" in str(error):
        return errors.OUT_OF_MEMORY, _memory_hint()
    return errors.INTERNAL, f"{type(error).__name__}: {error}"


def _memory_hint() -> str:
    return "out of memory: lower config.batch_size, config.eval.batch_size or config.seeds (on a GPU see also README)"


def _file_sentence(error: OSError) -> str:
    if error.errno is None or isinstance(error, errors.RunFolderError):
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    more = " (free some space, or choose another --workdir)" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return f"{error.strerror}{where}{more}"


def _parse(argv: list[str], flag_values: flags.FlagValues) -> list[str]:
    """Parses the flags; returns the arguments that are none. Whatever is wrong becomes a ConfigError."""
    if "config" in flag_values:
        _check_config_keys(argv)
    try:
        return flag_values(argv)
    except flags.UnrecognizedFlagError as error:
        known = ", ".join(f"--{name}" for name in sorted(flag_values))
        raise errors.ConfigError(f"--{error.flagname} is not a flag of this command: use one of {known}") from error
    except flags.IllegalFlagValueError as error:
        raise errors.ConfigError(_illegal_value(str(error), flag_values)) from error
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        text = str(error).strip().splitlines()
        raise errors.ConfigError(text[0] if text else type(error).__name__) from error


def _illegal_value(text: str, flag_values: flags.FlagValues) -> str:
    """Turns absl's "flag --devices=x: invalid literal for int() ..." into what is wrong and what is allowed."""
    found = re.match(r"flag --([\w.]+)=(.*?): ", text)
    flag = flag_values[found[1]] if found else None
    allowed = "" if flag is None else "true or false" if flag.boolean else flag.parser.syntactic_help
    return f"--{found[1]}={found[2]} is not possible: use {allowed}" if found and allowed else text.splitlines()[0]


def _check_config_keys(argv: list[str]) -> None:
    """Loads the config once before absl does, for errors in our own words."""
    from hwr_jax.config import file as configs

    path = None
    for argument, following in zip(argv[1:], [*argv[2:], ""], strict=False):
        if found := re.match(r"--?config(?:=(.*))?$", argument):
            path = following if found[1] is None else found[1]
    if not path:
        raise errors.ConfigError("--config is missing: name a config file, such as --config=configs/cnn.py")
    config = configs.load(path)
    for argument in argv[1:]:
        if found := re.match(r"--?(?:no)?config\.([\w.]+)", argument):
            configs.require_key(config, found[1])


def run_name(path: str) -> str:
    """Returns the name of a config's run: of configs/cnn.py it is cnn, of configs/cnn.py:smoke cnn-smoke."""
    name, _, variant = path.partition(":")
    return Path(name).stem + (f"-{variant}" if variant else "")


def load_data(
    config, data_dir: str | None, log: Callable[[str], None], *, name: str = "", manual_dir: str | None = None
):
    """Returns a data set.

    Args:
      config: that of a run; what it says of the training set is of its own data set alone.
      data_dir: of tensorflow-datasets; None: the usual one.
      log: called with one line of text for the user at a time.
      name: of the data set; "": the config's.
      manual_dir: folder of original files; None: the config's.
    """
    from hwr_jax import data

    own = name in ("", config.data.name)
    return data.load(
        name or config.data.name,
        validation_examples=config.data.validation_examples if own else None,
        train_examples=config.data.train_examples if own else 0,
        label_noise=config.data.label_noise if own else 0.0,
        subset_seed=config.data.subset_seed,
        layout=config.data.strings.to_dict(),
        stream=config.data.stream and own,
        data_dir=data_dir,
        manual_dir=(config.data.manual_dir if manual_dir is None else manual_dir) or None,
        log=log,
    )


class Loader(NamedTuple):
    """`load_data` of a config alone, which other processes can be given."""

    data_dir: str | None
    quiet: bool = True

    def __call__(self, config):
        """Returns the config's data set."""
        return load_data(config, self.data_dir, (lambda line: None) if self.quiet else print)


def load_of_run(
    config, facts: dict[str, Any], data_dir: str | None, log: Callable[[str], None], *, manual_dir: str = ""
):
    """Returns the data set of a run, wherever it was trained.

    Args:
      config, data_dir, log: see `load_data`.
      facts: of the data, as environment.json has them.
      manual_dir: folder of original files; "": the config's, where this machine has it.

    Raises:
      DataError: it has changed since.
    """
    from hwr_jax import data

    place = manual_dir or config.data.manual_dir
    if not manual_dir and whose_files(config) != data.OWN and not Path(place).is_dir():
        place = ""
    dataset = load_data(config, data_dir, log, manual_dir=place)
    if dataset.sha256 != facts["sha256"]:
        raise errors.DataError(
            f"{config.data.name} has changed since this run was trained: SHA-256 {dataset.sha256}, then "
            f"{facts['sha256']}"
        )
    return dataset


def whose_files(config) -> str:
    """Returns the data set whose original files a config needs: of strings, that of their glyphs."""
    from hwr_jax import data

    return config.data.strings.glyphs if config.data.name == data.STRINGS else config.data.name


def folder(flag: str, value: str | None, default: str | None = None) -> Path:
    """Returns the folder that a flag names, with ~ expanded.

    Raises:
      ConfigError: it is not given and has no default, or it is empty.
    """
    if value is None and default is not None:
        return Path(default)
    if not value:
        raise errors.ConfigError(f"--{flag} is missing or empty: name a folder, such as --{flag}=runs/cnn")
    return Path(value).expanduser()
