"""A search: a config, and the values to try for some of its keys. Defines the form of experiments/<search>/search.py:

QUESTION   one sentence
SPACE      flat config key -> ("log", low, high), ("linear", low, high), ("int", low, high[, step]) or
           ("choice", value, value, ...)
get_config(variant)   the original config, with which the best trial is compared
SEEDS      number of seeds per trial (default 3)
NOTES      a paragraph for the report (default none)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError

KINDS: dict[str, tuple[int, ...]] = {
    "log": (2,),
    "linear": (2,),
    "int": (2, 3),
    "choice": (),
}  # how many numbers each takes
KNOWN = {"QUESTION": str, "SPACE": dict, "SEEDS": int, "NOTES": str}
DEFAULTS = {"SEEDS": 3, "NOTES": ""}


class Search(NamedTuple):
    """The content of experiments/<search>/search.py."""

    path: Path
    question: str
    space: dict[str, tuple]
    config: ConfigDict
    seeds: int
    notes: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().parent.name

    @property
    def folder(self) -> Path:
        """Where its results lie by default."""
        return self.path.parent


def load(path: str | Path) -> Search:
    """Loads and checks a search. Raises ConfigError, which names what is wrong and what is allowed."""
    path, values = configs.constants(path, "search", KNOWN, DEFAULTS)
    if values["SEEDS"] < 1:
        raise ConfigError(f"--search={path}: SEEDS={values['SEEDS']} must be 1 or more")
    if not values["SPACE"]:
        raise ConfigError(f"--search={path}: SPACE is empty: name a key to search over")
    config = configs.load(path)
    for key, choices in values["SPACE"].items():
        configs.require_key(config, key)
        _check_axis(f"--search={path}: SPACE[{key!r}]", choices)
    search = Search(path=path, config=config, **{key.lower(): value for key, value in values.items()})
    extremes(search)
    if config.nonfinite.policy == "rollback":
        raise ConfigError(f"--search={path}: config.nonfinite.policy=rollback needs checkpoints: use halt or skip")
    return search


def _check_axis(where: str, choices: Any) -> None:
    kind = choices[0] if isinstance(choices, tuple) and choices else ""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"{where}={choices!r} is not possible: use a tuple that starts with {', '.join(KINDS)}")
    if kind == "choice":
        if len(choices) < 3:
            raise ConfigError(f"{where}={choices!r} leaves no choice: give two values or more")
        return
    numbers = choices[1:]
    if (
        len(numbers) not in KINDS[kind]
        or not all(isinstance(n, int | float) for n in numbers)
        or numbers[0] >= numbers[1]
    ):
        raise ConfigError(f"{where}={choices!r} is not possible: give the lowest and then the highest number")
    if kind == "log" and numbers[0] <= 0:
        raise ConfigError(f"{where}={choices!r} is not possible: a logarithmic axis must start above 0")
    if kind == "int" and not all(isinstance(n, int) for n in numbers):
        raise ConfigError(f"{where}={choices!r} is not possible: give integers")
    if kind == "int" and min(numbers[2:], default=1) < 1:
        raise ConfigError(f"{where}={choices!r} is not possible: the step must be 1 or more")


def extremes(search: Search) -> list[ConfigDict]:
    """Returns the configs with one key at its lowest or highest value, or at one of its choices, and the others
    unchanged. Raises ConfigError if a value does not fit."""
    values = {key: axis[1:] if axis[0] == "choice" else axis[1:3] for key, axis in search.space.items()}
    return [with_overrides(search, {key: value}) for key, each in values.items() for value in each]


def with_overrides(search: Search, overrides: dict[str, Any]) -> ConfigDict:
    """Returns the search's config with flat overrides. Raises ConfigError if a value does not fit."""
    config = search.config.copy_and_resolve_references()
    for key, value in overrides.items():
        try:
            config.update_from_flattened_dict({key: value})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"--search={search.path}: config.{key}={value!r} does not fit: {error}") from error
    return config
