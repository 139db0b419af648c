"""A study: a question, and configs that differ in what it asks. Defines the form of experiments/<study>/study.py:

    QUESTION   one sentence
    VARIANTS   name -> flat overrides, such as {"adam": {}, "sgd": {"optim.name": "sgd"}}; or `base.grid(...)`
    BASELINE   the variant to compare the others with
    get_config(variant)   the config of a variant, an ordinary one: --config=experiments/<study>/study.py:adam

and optionally

    SEEDS      number of seeds per variant (default 10)
    METRIC     what to compare on the test set: a key of `metric.METRICS` (default accuracy)
    AXIS       numeric config key that differs between the variants, for a plot of the error against it
    SERIES     name -> variants: the curves of that plot, which is then of validation (default: one, of the test set)
    CONTRASTS  further comparisons that the question asks for: [(variant, other variant), ...]
    FIT        "power_law": fit one to the error over the AXIS
    NOTES      a paragraph for the report: what is held fixed, how the values were chosen

Imports no jax, so that mistakes are reported at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.studies.metric import CLASSES_ONLY, METRICS, STRINGS_ONLY, Metric

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=-]*")
KNOWN = {
    "QUESTION": str,
    "VARIANTS": dict,
    "BASELINE": str,
    "SEEDS": int,
    "METRIC": str,
    "AXIS": str,
    "SERIES": dict,
    "CONTRASTS": list,
    "FIT": str,
    "NOTES": str,
}
DEFAULTS = {"SEEDS": 10, "METRIC": "accuracy", "AXIS": "", "SERIES": {}, "CONTRASTS": [], "FIT": "", "NOTES": ""}


class Study(NamedTuple):
    """The content of experiments/<study>/study.py."""

    path: Path
    question: str
    variants: dict[str, dict[str, Any]]  # name -> flat overrides, in the file's order
    configs: dict[str, ConfigDict]  # name -> the whole config
    baseline: str
    seeds: int
    metric: Metric
    axis: str  # flat config key, or ""
    series: dict[str, list[str]]  # curves over the axis: name -> variants; {}: one curve of all
    contrasts: list[tuple[str, str]]  # pairs of variants to compare, besides each variant with the baseline
    fit: str  # power_law, or ""
    notes: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().parent.name

    @property
    def place(self) -> str:
        """Its file as a reader of the report finds it: in the repository, else as it was named."""
        folder = self.path.resolve().parent
        inside = folder.parent.name == "experiments"
        return f"experiments/{folder.name}/{self.path.name}" if inside else self.path.as_posix()

    @property
    def folder(self) -> Path:
        """Where its results lie by default."""
        return self.path.parent


def load(path: str | Path) -> Study:
    """Loads and checks a study.

    Raises:
      ConfigError: the file is missing or does not run, a constant is missing, or a variant's config cannot be made.
    """
    path, values = configs.constants(path, "study", KNOWN, DEFAULTS)
    _check(path, values)
    made = {name: configs.load(f"{path}:{name}") for name in values["VARIANTS"]}
    for name, overrides in values["VARIANTS"].items():
        _check_variant(path, name, made[name], overrides)
    if values["AXIS"]:
        _check_axis(path, values, made)
    values["METRIC"] = METRICS[values["METRIC"]]
    return Study(path=path, configs=made, **{key.lower(): value for key, value in values.items()})


def checked(path: str | Path) -> Study:
    """Loads a study and checks every value of its configs. Raises ConfigError."""
    study = load(path)
    check_values(study)
    return study


def check_values(study: Study) -> None:
    """Checks every value of a study's configs, which imports jax. Raises ConfigError."""
    from hwr_jax.config import check
    from hwr_jax.data import configured

    for name, config in study.configs.items():
        unknown = CLASSES_ONLY if configured.reads_strings(config) else STRINGS_ONLY
        if study.metric.name in unknown:
            raise ConfigError(f"{study.path}:{name}: METRIC={study.metric.name!r} is undefined for {config.data.name}")
        try:
            check.check(config)
        except ConfigError as error:
            raise ConfigError(f"{study.path}:{name}: {error}") from None


def _check(path: Path, values: dict[str, Any]) -> None:
    names = list(values["VARIANTS"])
    if len(names) < 2:
        raise ConfigError(f"--study={path}: VARIANTS has {len(names)}: a comparison needs two or more")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ConfigError(f"--study={path}: a variant cannot be named {name!r}: use letters, digits, _.+=-")
    if values["BASELINE"] not in names:
        raise ConfigError(
            f"--study={path}: BASELINE={values['BASELINE']!r} is not a variant: use one of {', '.join(names)}"
        )
    if values["METRIC"] not in METRICS:
        raise ConfigError(f"--study={path}: METRIC={values['METRIC']!r} is not known: use one of {', '.join(METRICS)}")
    if values["FIT"] not in ("", "power_law") or (values["FIT"] and not values["AXIS"]):
        raise ConfigError(f"--study={path}: FIT={values['FIT']!r} is not possible: use power_law with an AXIS, or none")
    if values["SERIES"] and (values["FIT"] or not values["AXIS"]):
        raise ConfigError(f"--study={path}: SERIES need an AXIS, and cannot be combined with a FIT")
    for curve, of in values["SERIES"].items():
        if not isinstance(of, list | tuple) or not of or not all(v in names for v in of):
            raise ConfigError(f"--study={path}: SERIES[{curve!r}]={of!r} must be a list of variants")
    for pair in values["CONTRASTS"]:
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(v in names for v in pair) or pair[0] == pair[1]:
            raise ConfigError(f"--study={path}: {pair!r} in CONTRASTS must be a tuple of two variants")
    if values["SEEDS"] < 2:
        raise ConfigError(f"--study={path}: SEEDS={values['SEEDS']} gives no interval: use 2 or more, preferably 10")
    if not values["QUESTION"].strip().endswith("?"):
        raise ConfigError(f"--study={path}: QUESTION={values['QUESTION']!r} is not a question: end it with a ?")


def _check_axis(path: Path, values: dict[str, Any], made: dict[str, ConfigDict]) -> None:
    """Raises ConfigError if a variant's axis value is not a number > 0, or a curve has two variants at one point."""
    key, at = values["AXIS"], {}
    for name, config in made.items():
        configs.require_key(config, key)
        at[name] = configs.flatten(config)[key]
        if isinstance(at[name], bool) or not isinstance(at[name], int | float) or at[name] <= 0:
            raise ConfigError(f"--study={path}: config.{key}={at[name]!r} of {name} must be a number > 0")
    for curve in values["SERIES"].values() or [list(made)]:
        seen = {}
        for name in curve:
            if at[name] in seen:
                raise ConfigError(
                    f"--study={path}: {seen[at[name]]} and {name} are both at config.{key}={at[name]}: put them "
                    "into different curves (SERIES)"
                )
            seen[at[name]] = name


def _check_variant(path: Path, name: str, config: ConfigDict, overrides: dict[str, Any]) -> None:
    """Raises ConfigError if get_config does not apply the VARIANTS, or the config needs checkpoints."""
    flat = configs.flatten(config)
    for key, value in overrides.items():
        wanted = list(value) if isinstance(value, tuple) else value
        if flat.get(key) != wanted:
            raise ConfigError(
                f"--study={path}: get_config({name!r}) has config.{key}={flat.get(key)!r}, not {wanted!r}"
            )
    if config.nonfinite.policy == "rollback":
        raise ConfigError(
            f"--study={path}: config.nonfinite.policy=rollback of {name} needs checkpoints: use halt or skip"
        )
