"""Which keys of a config a run reads: an override of any other key is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from hwr_jax.core.errors import ConfigError
from hwr_jax.data import OWN, STRINGS
from hwr_jax.data.configured import reads_strings
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.transforms import augment

CHECKED = ("model", "optim", "schedule", "average", "transfer")  # sections in which one choice makes other keys idle

LINE_SIZES = ("data.strings.height_px", "data.strings.width_px")  # of own lines too
OWN_DATA = ("data.label_column", "data.pixel_scale", "data.orientation", "data.class_map")

Idle = Callable[[Any], str]  # (config) -> why a key has no effect in it; "": it has one


def _unless(holds: Callable[[Any], bool], why: str) -> Idle:
    return lambda config: "" if holds(config) else why


def _glyphs(config: Any) -> str:
    """The data set whose files are read."""
    return config.data.strings.glyphs if config.data.name == STRINGS else config.data.name


def _draws(config: Any) -> bool:
    data = config.data
    return bool(data.train_examples or data.label_noise or data.rehearsal_examples or data.negatives or data.drawn)


IDLE: dict[str, Idle] = {  # outside of the sections of CHECKED
    "augment.elastic_smooth_px": _unless(lambda c: c.augment.elastic_px, "it needs config.augment.elastic_px"),
    "augment.skip": _unless(
        lambda c: any(c.augment[key] for transform in augment.PEN for key in transform.strengths),
        "it needs another key of config.augment, from thickness to cutout_px",
    ),
    "nonfinite.limit": _unless(
        lambda c: c.nonfinite.policy != "halt", "it applies to config.nonfinite.policy=skip or rollback only"
    ),
    "data.rehearsal_examples": _unless(lambda c: c.data.rehearsal, "it needs config.data.rehearsal"),
    "data.subset_seed": _unless(
        _draws,
        "nothing is drawn: it needs config.data.train_examples, label_noise, rehearsal_examples, negatives or drawn",
    ),
    "data.manual_dir": _unless(
        lambda c: _glyphs(c) != "digits",
        "digits comes with scikit-learn and has no files; for your own pictures use config.data.name=folder",
    ),
    **dict.fromkeys(OWN_DATA, _unless(lambda c: _glyphs(c) == OWN, "it applies to config.data.name=folder only")),
    "over_seeds": _unless(lambda c: c.model.name != "scratch", "the network from scratch is not compiled"),
}


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
        if why := _idle(key, value, config, given, seen):
            raise ConfigError(f"config.{key}={value} has no effect here: {why}")


def _idle(key: str, value: Any, config: Any, given: Mapping[str, Any], seen: set[str]) -> str:
    """Returns why an override has no effect; "": it has one. `seen`: the keys that the recipe has read."""
    if key in IDLE and (why := IDLE[key](config)):
        return why
    if key == "data.fallback" and value != "none" and {"data.name", "data.manual_dir"} & given.keys():
        return "the data set is named, and nothing takes its place"
    of_strings = key.startswith("data.strings.") and not (key in LINE_SIZES and reads_strings(config))
    if (of_strings and config.data.name != STRINGS) or (key == "eval.beam" and key not in seen):
        return "it applies to config.data.name=strings only"
    section = key.split(".")[0]
    if section in CHECKED and key not in seen:
        used = ", ".join(sorted(k for k in seen if k.startswith(f"{section}.")))
        return f"what is read is {used or 'none of that group'}"
    return ""


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
