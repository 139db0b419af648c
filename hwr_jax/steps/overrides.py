"""Which keys of a config a run reads: an override of any other key is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from hwr_jax.core.errors import ConfigError
from hwr_jax.data import STRINGS
from hwr_jax.steps.recipe import make_recipe

CHECKED = ("model", "optim", "schedule", "average", "transfer")  # sections in which one choice makes other keys idle


def check_overrides(config: Any, given: Mapping[str, Any]) -> None:
    """Raises ConfigError if an override would have no effect, such as the momentum of Adam.

    Args:
      config: with the overrides, checked.
      given: the overrides, flat ("optim.momentum" -> value).
    """
    if not given:
        return
    seen = {"transfer.head"} if config.init_from else set()  # only `training.transfer` reads it, with the weights
    make_recipe(Seen(config, seen), examples=1000 * config.batch_size, classes=2, mean=0.0, std=1.0)
    for key, value in given.items():
        if (key.startswith("data.strings.") and config.data.name != STRINGS) or (
            key == "eval.beam" and key not in seen
        ):
            raise ConfigError(f"config.{key}={value} has no effect here: it applies to config.data.name=strings only")
        section = key.split(".")[0]
        if section in CHECKED and key not in seen:
            used = ", ".join(sorted(k for k in seen if k.startswith(f"{section}.")))
            raise ConfigError(
                f"config.{key}={value} has no effect here: what is read is {used or 'none of that group'}"
            )


class Seen:
    """A config that records which of its keys are read, flat, in `seen`; `to_dict` reads without being recorded."""

    def __init__(self, config: Any, seen: set[str], prefix: str = ""):
        self._config, self._seen, self._prefix = config, seen, prefix

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        if isinstance(value, ConfigDict):
            return Seen(value, self._seen, f"{self._prefix}{name}.")
        self._seen.add(f"{self._prefix}{name}")
        return value

    __getitem__ = __getattr__
