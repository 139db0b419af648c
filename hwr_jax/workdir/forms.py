"""The forms of the JSON that a run or a study leaves: which keys it has, and of which type. Reads no file.

Whatever is read back is checked against its form, so that a damaged file, or somebody else's, is named in one sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hwr_jax.core.errors import RunFolderError


class Kind(NamedTuple):
    """The allowed values of a key."""

    holds: Callable[[Any], bool]
    words: str  # "a whole number >= 0"


Form = Kind | dict[str, Any]  # key -> its form; a key that may be absent ends with a question mark


def _whole(low: int) -> Kind:
    return Kind(lambda v: type(v) is int and v >= low, f"a whole number >= {low}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_list(value: Any, of: Kind) -> bool:
    return isinstance(value, list) and all(map(of.holds, value))


TEXT = Kind(lambda v: isinstance(v, str), "text")
TEXTS = Kind(lambda v: _is_list(v, TEXT), "a list of texts")
NAMES = Kind(lambda v: _is_list(v, TEXT) and len(set(v)) == len(v) > 0, "a list of different names")
COUNT, POSITIVE_COUNT = _whole(0), _whole(1)
COUNTS = Kind(lambda v: _is_list(v, COUNT), "a list of whole numbers >= 0")
SHAPE = Kind(lambda v: _is_list(v, POSITIVE_COUNT) and len(v) == 3 and v[2] == 1, "[height, width, 1] in pixels")
NUMBER = Kind(_is_number, "a number")
NUMBERS = Kind(lambda v: _is_list(v, NUMBER) and len(v) > 0, "a list of numbers")
POSITIVE = Kind(lambda v: _is_number(v) and v > 0, "a number > 0")
OBJECT = Kind(lambda v: isinstance(v, dict), "a JSON object")
DIGESTS = Kind(lambda v: isinstance(v, dict) and all(map(TEXT.holds, v.values())), "a JSON object of texts")
PER_SEED = Kind(
    lambda v: isinstance(v, dict) and all(map(NUMBERS.holds, v.values())), "a JSON object of lists of numbers"
)
_CODE = {"version": TEXT, "sha256": TEXT}
_CODES = Kind(lambda v: isinstance(v, list) and not any(problem(one, _RESUMED) for one in v), "a list of resumes")
_RESUMED: Form = {"step": COUNT, "changed": TEXTS, "code?": _CODE}
_INIT_FROM = {"folder?": TEXT, "sha256": TEXT}

ENVIRONMENT: Form = {
    "dataset": {
        "name": TEXT,
        "version": TEXT,
        "sha256": TEXT,
        "classes": NAMES,
        "shape": SHAPE,
        "examples": {"train": POSITIVE_COUNT, "validation": POSITIVE_COUNT, "test": POSITIVE_COUNT},
        "mean": NUMBER,
        "std": POSITIVE,
    },
    "code": _CODE,
    "resumed": _CODES,
    "config_sha256?": TEXT,
    "threads?": POSITIVE_COUNT,
    "mesh_devices?": POSITIVE_COUNT,
    "seed_groups?": POSITIVE_COUNT,
    "init_from?": _INIT_FROM,
}
SUMMARY: Form = {
    "dataset": TEXT,
    "examples": {"test": POSITIVE_COUNT},
    "seeds": COUNTS,
    "test": {"accuracy": {"mean": NUMBER, "per_seed": NUMBERS}},
    "state_sha256?": TEXT,
}
COMPARED: Form = {  # what `compare` needs beside it
    "parameters": COUNT,
    "validation": {"accuracy": {"per_seed": NUMBERS}},
    "train_seconds": NUMBER,
    "images_per_second": NUMBER,
}
METRICS: Form = {"epoch": COUNT, "step": COUNT, "split": TEXT, "seeds?": COUNTS, "per_seed": PER_SEED}
TIMING: Form = {
    "event": TEXT,
    "seconds": NUMBER,
    "train_seconds?": NUMBER,
    "compile_seconds?": NUMBER,
    "images?": NUMBER,
    "scale?": NUMBERS,
}
MANIFEST: Form = {"files": DIGESTS}
RECORD: Form = {  # of a study
    "variant": TEXT,
    "seed": COUNT,
    "config_sha256": TEXT,
    "dataset": {"sha256": TEXT},
    "code": _CODE,
    "init_from?": _INIT_FROM,
}


def problem(value: Any, form: Form, key: str = "") -> str:
    """Returns, in words, the first thing in which a JSON value is not of its form; "" if there is none."""
    name = f"its {key!r}" if key else "it"
    if isinstance(form, Kind):
        return "" if form.holds(value) else f"{name} is {_shown(value)}, not {form.words}"
    if not isinstance(value, dict):
        return f"{name} is {_shown(value)}, not a JSON object"
    for part, inner in form.items():
        inside = f"{key}.{part.removesuffix('?')}".lstrip(".")
        if part.removesuffix("?") in value:
            if found := problem(value[part.removesuffix("?")], inner, inside):
                return found
        elif not part.endswith("?"):
            return f"it has no {inside!r}"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def check(value: Any, form: Form, where: Path | str) -> dict[str, Any]:
    """Returns the value if it has the form. Raises RunFolderError, which names the file (`where`) and the key."""
    if found := problem(value, form):
        raise RunFolderError(f"{where} is damaged or was not written by hwr_jax: {found}")
    return value
