"""Which config values are allowed. Owns the table; the defaults are in configs/base.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from hwr_jax import data, models
from hwr_jax.config.file import flatten
from hwr_jax.core.errors import ConfigError
from hwr_jax.models import convolution, layers, rnn
from hwr_jax.optim import averages, optimizers, schedules

CHOICES = {
    "over_seeds": ("auto", "map", "vmap"),
    "data.name": data.DATASETS,
    "model.name": models.MODELS,
    "model.cell": rnn.CELLS,
    "model.padding": ("valid", "same"),
    "model.norm": layers.NORMS,
    "model.activation": layers.ACTIVATIONS,
    "model.precision": layers.PRECISIONS,
    "model.initializer": layers.INITIALIZERS,
    "model.convolution": ("auto", *convolution.CONVOLUTIONS),
    "optim.name": optimizers.OPTIMIZERS,
    "transfer.head": ("keep", "new"),
    "data.rehearsal": ("", *data.SOURCES),
    "data.strings.glyphs": data.GLYPHS,
    "schedule.name": schedules.SCHEDULES,
    "nonfinite.policy": ("halt", "skip", "rollback"),
    "average.name": averages.AVERAGES,
    "eval.checkpoint": ("last", "best"),
}

_COUNT = (lambda v: v >= 1, "an integer >= 1")
_POSITIVE = (lambda v: 0 < v < math.inf, "a number > 0")
_NOT_NEGATIVE = (lambda v: 0 <= v < math.inf, "a number >= 0")
_RATE = (lambda v: 0 <= v < 1, "a number from 0 to below 1")
_SHARE = (lambda v: 0 <= v <= 1, "a number from 0 to 1")

RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": (lambda v: 0 <= v < 2**31, "an integer from 0 to 2**31 - 1"),
    "seeds": _COUNT,
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "steps_per_dispatch": _COUNT,
    "data.validation_examples": _COUNT,
    "data.train_examples": (lambda v: v >= 0, "an integer >= 0"),
    "data.label_noise": _SHARE,
    "data.rehearsal_examples": (lambda v: v >= 0, "an integer >= 0"),
    "transfer.layer_decay": (lambda v: 0 < v <= 1, "a number above 0, at most 1"),
    "data.subset_seed": (lambda v: v >= 0, "an integer >= 0"),
    **{f"data.strings.{key}": _COUNT for key in ("train", "validation", "test")},
    "data.strings.lengths": (lambda v: len(v) == 2 and all(type(n) is int for n in v), "two integers"),
    "data.strings.test_length": (lambda v: v >= 0, "an integer >= 0"),
    "data.strings.height_px": (lambda v: 8 <= v <= 256, "an integer from 8 to 256"),
    "data.strings.width_px": (lambda v: 8 <= v <= 4096, "an integer from 8 to 4096"),
    "data.strings.overlap_px": (lambda v: 0 <= v <= 20, "a number from 0 to 20"),
    "data.strings.gap_px": (lambda v: 0 <= v <= 100, "a number from 0 to 100"),
    "data.strings.size": (lambda v: 0 <= v <= 0.5, "a number from 0 to 0.5"),
    "data.strings.slant_deg": (lambda v: 0 <= v <= 45, "a number from 0 to 45"),
    "data.strings.slope_deg": (lambda v: 0 <= v <= 20, "a number from 0 to 20"),
    "data.strings.baseline_px": (lambda v: 0 <= v <= 20, "a number from 0 to 20"),
    "data.strings.seed": (lambda v: v >= 0, "an integer >= 0"),
    "model.column_px": _COUNT,
    "model.dense": (lambda v: v >= 0, "an integer >= 0"),
    "model.blocks": _COUNT,
    "model.stride_px": _COUNT,
    "model.width": _COUNT,
    "model.layers": _COUNT,
    "model.patch_px": _COUNT,
    "model.heads": _COUNT,
    "model.dropout": _RATE,
    "loss.label_smoothing": _RATE,
    "optim.learning_rate": _POSITIVE,
    "optim.momentum": _RATE,
    "optim.b1": _RATE,
    "optim.b2": _RATE,
    "optim.eps": _POSITIVE,
    "optim.weight_decay": _NOT_NEGATIVE,
    "optim.l2": _NOT_NEGATIVE,
    "optim.l1": _NOT_NEGATIVE,
    "optim.clip_norm": _NOT_NEGATIVE,
    "optim.accumulate": _COUNT,
    "schedule.warmup_epochs": _NOT_NEGATIVE,
    "schedule.step_epochs": _POSITIVE,
    "schedule.decay": (lambda v: 0 < v <= 1, "a number above 0, at most 1"),
    "schedule.final": _SHARE,
    "schedule.growth": (lambda v: 1 <= v < math.inf, "a number >= 1"),
    "schedule.rise": (lambda v: 0 < v < 1, "a number between 0 and 1"),
    "average.decay": _RATE,
    "average.start": _RATE,
    "augment.shift_px": (lambda v: 0 <= v <= 14, "a number from 0 to 14"),
    "augment.rotate_deg": (lambda v: 0 <= v <= 180, "a number from 0 to 180"),
    "augment.scale": _RATE,
    "augment.shear_deg": (lambda v: 0 <= v <= 60, "a number from 0 to 60"),
    "augment.perspective": (lambda v: 0 <= v < 0.5, "a number from 0 to below 0.5"),
    "augment.elastic_px": (lambda v: 0 <= v <= 14, "a number from 0 to 14"),
    "augment.elastic_smooth_px": _POSITIVE,
    "augment.thickness": _SHARE,
    "augment.lines": (lambda v: 0 <= v <= 100, "an integer from 0 to 100"),
    "augment.background": _SHARE,
    "augment.blur_px": (lambda v: 0 <= v <= 14, "a number from 0 to 14"),
    "augment.brightness": _SHARE,
    "augment.contrast": _SHARE,
    "augment.invert": _SHARE,
    "augment.noise": _NOT_NEGATIVE,
    "augment.salt_pepper": _SHARE,
    "augment.cutout_px": (lambda v: 0 <= v <= 28, "an integer from 0 to 28"),
    "augment.mixup": _NOT_NEGATIVE,
    "augment.cutmix": _NOT_NEGATIVE,
    "frame.crop_px": (lambda v: 0 <= v <= 13, "an integer from 0 to 13"),
    "frame.side_px": (lambda v: 0 <= v <= 256, "an integer from 0 to 256"),
    "nonfinite.limit": _COUNT,
    "eval.batch_size": _COUNT,
    "eval.beam": (lambda v: 1 <= v <= 256, "an integer from 1 to 256"),
    "eval.shift_px": (lambda v: 0 <= v <= 3, "an integer from 0 to 3"),
    "eval.patience_epochs": (lambda v: v >= 0, "an integer >= 0"),
    "checkpoint.keep": _COUNT,
    "checkpoint.every_epochs": _COUNT,
}


def check(config: ConfigDict) -> None:
    """Raises ConfigError, one sentence with key, value and what is allowed, for the first value that is not."""
    flat = flatten(config)
    missing = [key for key in (*CHOICES, *RANGES) if key not in flat]
    if missing:
        raise ConfigError(f"config.{missing[0]} is missing: begin a config with base.get_config() of configs/base.py")
    for key, allowed in CHOICES.items():
        if flat[key] not in allowed:
            raise ConfigError(f"config.{key}={flat[key]!r} is not known: use one of {', '.join(allowed)}")
    for key, (fits, words) in RANGES.items():
        if isinstance(flat[key], str | None) or not fits(flat[key]):
            raise ConfigError(f"config.{key}={flat[key]!r} is out of range: use {words}")
    if config.data.rehearsal and not config.init_from:
        raise ConfigError(
            f"config.data.rehearsal={config.data.rehearsal} needs config.init_from: name the run that learnt it"
        )
    if config.data.stream and config.data.rehearsal:
        raise ConfigError("config.data.stream=True does not rehearse: use it without config.data.rehearsal")
    if config.seed + config.seeds > 2**31:
        raise ConfigError(
            f"config.seeds={config.seeds} from config.seed={config.seed} on exceed the last seed, 2**31 - 1"
        )


def check_recorded(config: ConfigDict, folder: Path) -> None:
    """Does the same with the config of a run folder."""
    try:
        check(config)
    except ConfigError as error:
        raise ConfigError(f"{folder} is of another version of hwr_jax: {error}") from error
