"""Which config values are allowed: names from the tables of the parts, ranges of numbers. Defaults: configs/base.py."""

from __future__ import annotations

import math
from pathlib import Path

from ml_collections import ConfigDict

from hwr_jax import data, models
from hwr_jax.config import defaults
from hwr_jax.config.flat import flatten
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.ranges import COUNT, NOT_NEGATIVE, POSITIVE, RATE, SHARE, Range, integer, number
from hwr_jax.models import convolution, kernel_use, layers, products, recurrence
from hwr_jax.optim import averages, optimizers, schedules
from hwr_jax.pictures.values import ORIENTATIONS
from hwr_jax.tasks import losses
from hwr_jax.transforms import augment

CHOICES = {
    "over_seeds": ("auto", "map", "vmap"),
    "data.name": data.DATASETS,
    "model.name": models.MODELS,
    "model.cell": recurrence.CELLS,
    "model.padding": ("valid", "same"),
    "model.norm": layers.NORMS,
    "model.activation": layers.ACTIVATIONS,
    "model.precision": layers.PRECISIONS,
    "model.initializer": layers.INITIALIZERS,
    "model.convolution": (*convolution.CHOICES, *convolution.CONVOLUTIONS),
    "model.recurrence": recurrence.CHOICES,
    "model.products": products.CHOICES,
    "data.orientation": ORIENTATIONS,
    "loss.class_weights": losses.CLASS_WEIGHTS,
    "optim.name": optimizers.OPTIMIZERS,
    "transfer.head": ("keep", "new"),
    "data.rehearsal": ("", *data.SOURCES),
    "data.strings.glyphs": data.GLYPHS,
    "schedule.name": schedules.SCHEDULES,
    "nonfinite.policy": ("halt", "skip", "rollback"),
    "average.name": averages.AVERAGES,
    "eval.checkpoint": ("last", "best"),
}

RANGES: dict[str, Range] = {
    "seed": Range(lambda v: 0 <= v < 2**31, "an integer from 0 to 2**31 - 1"),
    "seeds": COUNT,
    "epochs": COUNT,
    "batch_size": COUNT,
    "steps_per_dispatch": COUNT,
    "data.pixel_scale": NOT_NEGATIVE,
    "data.validation_examples": COUNT,
    "data.train_examples": integer(0),
    "data.label_noise": SHARE,
    "data.negatives": integer(0),
    "data.drawn": integer(0),
    "data.rehearsal_examples": integer(0),
    "transfer.layer_decay": Range(lambda v: 0 < v <= 1, "a number above 0, at most 1"),
    "data.subset_seed": integer(0),
    **{f"data.strings.{key}": COUNT for key in ("train", "validation", "test")},
    "data.strings.lengths": Range(lambda v: len(v) == 2 and all(type(n) is int for n in v), "two integers"),
    "data.strings.test_length": integer(0),
    "data.strings.height_px": integer(8, 256),
    "data.strings.width_px": integer(8, 4096),
    "data.strings.overlap_px": number(0, 20),
    "data.strings.gap_px": number(0, 100),
    "data.strings.size": number(0, 0.5),
    "data.strings.slant_deg": number(0, 45),
    "data.strings.slope_deg": number(0, 20),
    "data.strings.baseline_px": number(0, 20),
    "data.strings.seed": integer(0),
    "model.column_px": COUNT,
    "model.dense": integer(0),
    "model.blocks": COUNT,
    "model.stride_px": COUNT,
    "model.width": COUNT,
    "model.layers": COUNT,
    "model.patch_px": COUNT,
    "model.heads": COUNT,
    "model.dropout": RATE,
    "loss.label_smoothing": RATE,
    "optim.learning_rate": POSITIVE,
    "optim.momentum": RATE,
    "optim.b1": RATE,
    "optim.b2": RATE,
    "optim.eps": POSITIVE,
    "optim.weight_decay": NOT_NEGATIVE,
    "optim.l2": NOT_NEGATIVE,
    "optim.l1": NOT_NEGATIVE,
    "optim.clip_norm": NOT_NEGATIVE,
    "optim.accumulate": COUNT,
    "schedule.warmup_epochs": NOT_NEGATIVE,
    "schedule.step_epochs": POSITIVE,
    "schedule.decay": Range(lambda v: 0 < v <= 1, "a number above 0, at most 1"),
    "schedule.final": SHARE,
    "schedule.growth": Range(lambda v: 1 <= v < math.inf, "a number >= 1"),
    "schedule.rise": Range(lambda v: 0 < v < 1, "a number between 0 and 1"),
    "average.decay": RATE,
    "average.start": RATE,
    **{f"augment.{key}": allowed for key, allowed in augment.RANGES.items()},
    "frame.crop_px": integer(0, 13),
    "frame.side_px": integer(0, 256),
    "nonfinite.limit": COUNT,
    "eval.batch_size": COUNT,
    "eval.beam": integer(1, 256),
    "eval.shift_px": integer(0, 3),
    "eval.patience_epochs": integer(0),
    "checkpoint.keep": COUNT,
    "checkpoint.every_epochs": COUNT,
}


def check(config: ConfigDict) -> None:
    """Raises ConfigError for the first value that is not allowed: one sentence with key, value and allowed values."""
    flat = flatten(config)
    missing = [key for key in (*CHOICES, *RANGES) if key not in flat]
    if missing:
        raise ConfigError(f"config.{missing[0]} is missing: start from base.get_config() of configs/base.py")
    known = defaults.of_base()
    for key, allowed in CHOICES.items():
        if not isinstance(flat[key], str) or flat[key] not in allowed:
            raise ConfigError(f"config.{key}={flat[key]!r} is not known: use one of {', '.join(allowed)}")
    for key, (holds, words) in RANGES.items():
        if not defaults.fits(flat[key], known[key]) or not holds(flat[key]):
            raise ConfigError(f"config.{key}={flat[key]!r} is out of range: use {words}")
    defaults.check_types(flat, known)
    if config.data.rehearsal and not config.init_from:
        raise ConfigError(
            f"config.data.rehearsal={config.data.rehearsal} needs config.init_from: name the run that learnt it"
        )
    if config.data.stream and config.data.rehearsal:
        raise ConfigError("config.data.stream=True does not rehearse: use it without config.data.rehearsal")
    if config.data.balanced and config.loss.class_weights == "balanced":
        raise ConfigError(
            "config.data.balanced=True with config.loss.class_weights=balanced would count rare classes twice: use one "
            "of them"
        )
    for key in kernel_use.KEYS:
        if config.model[key] == "compiled" and config.model.precision != "float32":
            raise ConfigError(
                f"config.model.{key}=compiled computes in float32 alone, not in {config.model.precision}: use "
                f"config.model.{key}=auto, or config.model.precision=float32"
            )
    if config.seed + config.seeds > 2**31:
        raise ConfigError(
            f"config.seeds={config.seeds} from config.seed={config.seed} on exceed the last seed, 2**31 - 1"
        )


def check_recorded(config: ConfigDict, folder: Path) -> None:
    """Raises ConfigError, which names the folder, if the config that it records is not allowed here."""
    try:
        check(config)
    except ConfigError as error:
        raise ConfigError(f"{folder} was written by another version of hwr_jax: {error}") from error
