"""Configs as files and JSON: load, write, compare. `check` has the allowed values, configs/base.py the defaults.

Importing it imports no jax, so that a misspelt key is reported at once.
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from hwr_jax.config import defaults, shipped
from hwr_jax.config.flat import flatten
from hwr_jax.core.errors import ConfigError

EXAMPLES = {
    "config": "cnn or mine.py",
    "study": "experiments/initialisation/study.py",
    "search": "experiments/fast_search/search.py",
}

FORMS = {"study": "hwr_jax/studies/spec.py", "search": "hwr_jax/tuning/spec.py"}


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> ConfigDict:
    """Loads a config; `path` may end in `:variant`, the argument of its `get_config`.

    Args:
      path: a file, such as mine.py:smoke, or the name of a config that comes with hwr_jax, such as cnn:smoke.
      overrides: values to set on top, by flat key ("model.dropout").

    Raises:
      ConfigError: no such file or variant, the file does not run, or an override does not fit.

    >>> config = load("cnn:smoke", {"model.dropout": 0.3})
    >>> config.model.name, config.model.dropout, config.epochs
    ('cnn', 0.3, 1)
    """
    path = shipped.resolve(path)
    name, _, variant = path.partition(":")
    module = load_module(name)
    try:
        if variant and not inspect.signature(module.get_config).parameters:
            raise ValueError(f"there is no variant {variant!r}: its get_config takes no argument")
        config = module.get_config(variant) if variant else module.get_config()
    except ValueError as error:
        raise ConfigError(f"--config={path} cannot be loaded: {error}") from error
    except Exception as error:
        raise ConfigError(f"--config={path} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise ConfigError(f"--config={path} cannot be used: its get_config returns {config!r}, not a ConfigDict")
    config.lock()
    return override(defaults.fill(config), overrides or {}, path)


def override(config: ConfigDict, overrides: Mapping[str, Any], name: str) -> ConfigDict:
    """Sets values by their flat keys ("model.dropout") and returns the same config; `name` is that of the config.

    Raises:
      ConfigError: there is no such key, or the value is of another type.
    """
    for key, value in overrides.items():
        require_key(config, key)
        try:
            config.update_from_flattened_dict({key: value})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"config.{key}={value!r} does not fit {name}: {error}") from error
    return config


def load_module(path: str | Path, *, flag: str = "config") -> ModuleType:
    """Runs a Python file that describes an experiment. Raises ConfigError; `flag` names the file in messages."""
    example = EXAMPLES[flag]
    if not Path(path).is_file():
        near = _nearest(Path(path), flag)
        hint = f"did you mean --{flag}={near}?" if near else f"name one, such as {example}"
        raise ConfigError(f"--{flag}={path} is not a file: {hint}")
    shipped.allow_imports(path)
    if Path(path).suffix != ".py":
        raise ConfigError(f"--{flag}={path} is not a Python file (.py): name one, such as {example}")
    module = ModuleType(f"hwr_jax_{flag}")
    module.__file__ = str(path)
    try:  # not the byte-code cache, which misses an edit within a second
        exec(compile(Path(path).read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
    except ValueError as error:
        raise ConfigError(f"--{flag}={path} cannot be loaded: {error}") from error
    except Exception as error:
        raise ConfigError(f"--{flag}={path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _nearest(path: Path, flag: str) -> str:
    """Returns the config, study or search that a path which is not a file probably stands for; "": none."""
    if flag == "config":
        near = difflib.get_close_matches(path.stem, shipped.names(), n=1, cutoff=0.75)
        return near[0] if near else ""
    known = {found.parent.name: str(found) for found in Path("experiments").glob(f"*/{flag}.py")}
    name = path.parent.name if path.name == f"{flag}.py" else path.stem
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return known[near[0]] if near else ""


def constants(
    path: str | Path, flag: str, kinds: Mapping[str, type], defaults: Mapping[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """Returns the file (FLAG.py, if `path` is a folder) and its constants, each checked to be of its kind.

    Raises:
      ConfigError: the file is missing or does not run, or a constant is missing or of another kind.
    """
    path = Path(path)
    if path.is_dir():
        path = path / f"{flag}.py"
    module = load_module(path, flag=flag)
    values = {key: getattr(module, key, defaults.get(key)) for key in kinds}
    for key, value in values.items():
        if value is None:
            raise ConfigError(f"--{flag}={path} has no {key}: see {FORMS[flag]}")
        if not isinstance(value, kinds[key]):
            raise ConfigError(f"--{flag}={path}: {key}={value!r} must be of type {kinds[key].__name__}")
    return path, values


def require_key(config: ConfigDict, key: str) -> None:
    """Raises ConfigError, with the nearest keys, if the config has no `key` such as "model.dropout"."""
    known = list(flatten(config))
    if key in known:
        return
    if any(k.startswith(f"{key}.") for k in known):
        members = sorted((k for k in known if k.startswith(f"{key}.")), key=lambda k: k != f"{key}.name")
        raise ConfigError(f"config.{key} is a group: set one of {', '.join(members)}")
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean config.{near[0]}?" if near else f"the keys are {', '.join(known)}"
    raise ConfigError(f"there is no config.{key}: {hint}")


def to_json(config: ConfigDict) -> str:
    """Returns the config as indented JSON (tuples become lists)."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the locked config that `to_json` wrote (lists become tuples)."""

    def tuples(value):
        if isinstance(value, dict):
            return {k: tuples(v) for k, v in value.items()}
        return tuple(value) if isinstance(value, list) else value

    config = ConfigDict(tuples(json.loads(text)))
    config.lock()
    return config


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Returns one line `key: old -> new` for each key in which two nested dicts differ."""
    a, b = flatten(old), flatten(new)
    missing = "(absent)"
    keys = [*a, *(k for k in b if k not in a)]
    return [f"{k}: {a.get(k, missing)} -> {b.get(k, missing)}" for k in keys if a.get(k, missing) != b.get(k, missing)]
