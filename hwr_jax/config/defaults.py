"""The keys of a config and their defaults: what a key that is absent means, and of which type its values are.

A key that base.py has gained since the first version changes nothing at its default, so configs and records from before
it existed stay what they were: in them the key is absent, and it takes its default. Imports no jax.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from hwr_jax.config import shipped
from hwr_jax.config.flat import flatten
from hwr_jax.core.errors import ConfigError

_FIRST = {  # group -> the keys of version 0.1.0; this list never grows
    "": "batch_size epochs init_from over_seeds seed seeds steps_per_dispatch",
    "augment": (
        "background blur_px brightness contrast cutmix cutout_px elastic_px elastic_smooth_px invert lines mixup "
        "noise perspective rotate_deg salt_pepper scale shear_deg shift_px thickness"
    ),
    "average": "decay name start",
    "checkpoint": "every_epochs keep",
    "data": (
        "fallback label_noise manual_dir name rehearsal rehearsal_examples stream subset_seed train_examples "
        "validation_examples"
    ),
    "data.strings": (
        "baseline_px gap_px glyphs height_px lengths overlap_px seed size slant_deg slope_deg test test_length "
        "train validation width_px"
    ),
    "eval": "batch_size beam checkpoint patience_epochs",
    "frame": "centre crop_px deskew side_px",
    "loss": "label_smoothing",
    "model": (
        "activation bidirectional blocks cell column_px convolution dense dropout features heads hidden "
        "initializer kernels_px layers name norm padding patch_px pools precision stride_px strides_px width"
    ),
    "nonfinite": "limit policy",
    "optim": "accumulate b1 b2 clip_norm eps l1 l2 learning_rate momentum name weight_decay",
    "schedule": "decay final growth name rise step_epochs warmup_epochs",
    "transfer": "frozen head layer_decay",
}
FIRST = frozenset(f"{group}.{key}".lstrip(".") for group, keys in _FIRST.items() for key in keys.split())
BEFORE = {"eval.shift_px": 0}  # what was done before a later key existed, if its default may no longer say so


def of_base() -> dict[str, Any]:
    """Returns the defaults of every key, flat, from the configs/base.py that comes with hwr_jax."""
    path = shipped.folder() / "base.py"
    return dict(_read(str(path), path.read_bytes()))


@functools.cache
def _read(path: str, source: bytes) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "configs.base"}
    exec(compile(source, path, "exec", dont_inherit=True), names)
    return flatten(names["get_config"]())


def later() -> dict[str, Any]:
    """Returns the keys that version 0.1.0 did not have, flat, with the value that changes nothing."""
    return {key: BEFORE.get(key, value) for key, value in of_base().items() if key not in FIRST}


def fill(config: ConfigDict) -> ConfigDict:
    """Adds to a config the later keys that it lacks, and returns the same config.

    A config that lacks a key of version 0.1.0 does not start from base.py, and is left alone.
    """
    flat = flatten(config)
    if not flat.keys() >= FIRST:
        return config
    with config.unlocked():
        for key, value in later().items():
            if key not in flat:
                _put(config, key.split("."), tuple(value) if isinstance(value, list) else value)
    return config


def _put(config: ConfigDict, path: list[str], value: Any) -> None:
    """Sets a value in a group that may be new; `check_types` refuses a value in the place of the group."""
    for group in path[:-1]:
        if group not in config:
            config[group] = ConfigDict()
        config = config[group]
        if not isinstance(config, ConfigDict):
            return
    config[path[-1]] = value


def check_types(flat: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises ConfigError for the first value of another type than its default, and for a key that its group lacks.

    `flat` is a config, `known` are the defaults. Absent keys, and those of groups that base.py lacks, are let through.
    """
    groups = {key.partition(".")[0] for key in known if "." in key}
    for key, value in flat.items():
        if key in known:
            if not fits(value, known[key]):
                raise ConfigError(f"config.{key}={value!r} is not possible: use {_words(known[key])}")
        elif key.partition(".")[0] in groups:
            raise ConfigError(f"there is no config.{key}: configs/base.py lists the keys")


def fits(value: Any, default: Any) -> bool:
    """Whether a value has the type of its default; a whole number is a number too."""
    if isinstance(default, list):
        return isinstance(value, list) and all(fits(one, default[0]) for one in value)
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)


def _words(default: Any) -> str:
    if isinstance(default, list):
        return f"a list of which each element is {_words(default[0])}"
    return {bool: "True or False", int: "a whole number", float: "a number", str: "text"}[type(default)]
