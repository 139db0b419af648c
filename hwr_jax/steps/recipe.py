"""The recipe: a config turned, once, into pure functions. Nothing that runs on the device reads the config."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from hwr_jax import models, tasks
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.networks import READERS
from hwr_jax.data import OWN, STRINGS
from hwr_jax.data.configured import reads_strings
from hwr_jax.models.scratch import Settings, settings, zero_moments
from hwr_jax.optim import averages, optimizers, schedules
from hwr_jax.tasks.losses import balanced_weights
from hwr_jax.transforms.augment import MIX, augment, changes
from hwr_jax.transforms.frame import frame, framed_shape_px
from hwr_jax.transforms.mix import Mixed, mix


class Recipe(NamedTuple):
    """The functions and numbers that define the steps of a run. All are static: no arrays of the run."""

    model: models.Model
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule  # step -> learning rate
    average: averages.Average | None  # of the weights
    frame: Callable[[jax.Array], jax.Array]  # image float32 [H, W, 1] in 0..1 -> [H', W', 1]; also in prediction
    augment: Callable[[jax.Array, jax.Array], jax.Array]  # (key [], image float32 [H, W, 1] in 0..1) -> the same
    augmented: bool  # False: `augment` is the identity and is skipped
    mix: Callable[..., Mixed] | None  # see `transforms.mix`
    task: tasks.Task  # what the scores mean
    loss: Callable[[jax.Array, jax.Array], jax.Array]  # (logits, label) -> nats [B], for training
    mean: float  # of the training pixels, on the scale 0..1
    std: float
    batch_size: int
    steps_per_epoch: int
    accumulate: int  # parts of a batch
    gradient_norm: bool  # add the gradient's global norm to the totals
    scratch: Settings | None  # of the network from scratch, which is not compiled
    trained: tuple[str, ...] | None  # the layers to train, the others are frozen; None: all
    nonfinite: str  # halt, skip, rollback
    patience_epochs: int  # 0: train to the end
    eval_shift_px: int  # prediction averages over all whole-pixel shifts up to this


def _check_lengths(config: Any, width_px: int) -> None:
    """Raises ConfigError if the longest string needs more time steps than there are: no path could spell it."""
    longest, steps = config.data.strings.lengths[1], width_px // config.model.column_px
    if steps < 2 * longest - 1:  # a repeated character needs a blank between
        raise ConfigError(
            f"config.data.strings.lengths up to {longest} do not fit into {steps} time steps: use 2 * longest - 1 or "
            "more, with a larger config.data.strings.width_px or a smaller config.model.column_px"
        )


def _loss_options(config: Any, counts: np.ndarray | None) -> dict[str, Any]:
    """The options of the training loss that are not its defaults."""
    smoothing, weights = config.loss.label_smoothing, config.loss.class_weights
    options: dict[str, Any] = {"smoothing": smoothing} if smoothing else {}
    if weights == "balanced" and counts is not None:
        options["weights"] = balanced_weights(counts)
    return options


def _no_update(updates: Any, state: Any, params: Any = None, **more: Any) -> Any:
    raise NotImplementedError("the network from scratch has its own optimiser: see scratch.update")


def whole_px(config: Any) -> tuple[int, int]:
    """Returns the height and width of the data set's images."""
    strings = config.data.strings
    return (strings.height_px, strings.width_px) if reads_strings(config) else (28, 28)


def shape_px(config: Any) -> tuple[int, int]:
    """Returns the height and width of the images that the network sees. Raises ConfigError if nothing is left."""
    whole = whole_px(config)
    framed = framed_shape_px(whole, crop_px=config.frame.crop_px, side_px=config.frame.side_px)
    if min(framed) < 1:
        raise ConfigError(f"config.frame.crop_px={config.frame.crop_px} leaves nothing of {min(whole)} pixels")
    return framed


def _task(config: Any) -> tasks.Task:
    """Returns what the scores mean. Raises ConfigError if network, data and options do not fit."""
    strings = reads_strings(config)
    if strings != (config.model.name in READERS):
        readers = " or ".join(READERS)
        raise ConfigError(
            f"config.model.name={config.model.name} does not fit config.data.name={config.data.name}: strings need "
            f"{readers}, and {readers} needs strings, or {OWN} with your own lines"
        )
    if not strings:
        return tasks.classification()
    for key, value in (
        ("loss.label_smoothing", config.loss.label_smoothing),
        ("loss.class_weights", config.loss.class_weights != "none" and config.loss.class_weights),
        ("data.balanced", config.data.balanced),
        ("augment.mixup", config.augment.mixup),
        ("augment.cutmix", config.augment.cutmix),
        ("frame.side_px", config.frame.side_px),
        ("eval.shift_px", config.eval.shift_px),
    ):
        if value:
            off = {str: "none", bool: False}.get(type(value), 0)
            raise ConfigError(f"config.{key}={value} is not for strings: use {off}")
    return tasks.strings(beam=config.eval.beam)


def make_recipe(
    config: Any,
    *,
    examples: int,
    classes: int,
    mean: float,
    std: float,
    counts: np.ndarray | None = None,
    injected: bool = False,
) -> Recipe:
    """Makes the recipe of a (checked) config.

    Args:
      config: the resolved config.
      examples: number of training images; an epoch drops the remainder after its last whole batch.
      classes: K.
      mean, std: of the training pixels on the scale 0..1.
      counts: of the training images of each class, int [K], for config.loss.class_weights; None: nothing is trained.
      injected: the optimiser's scalars are part of its state (see `optimizers.make_optimizer`).

    Raises:
      ConfigError: values that do not fit each other or the data.
    """
    if config.batch_size > examples:
        raise ConfigError(
            f"config.batch_size={config.batch_size} is more than the {examples} training images: use at most that many"
        )
    if config.batch_size % config.optim.accumulate:
        raise ConfigError(
            f"config.optim.accumulate={config.optim.accumulate} does not divide config.batch_size={config.batch_size}: "
            "use a divisor of it"
        )
    steps_per_epoch = examples // config.batch_size
    relative_rate = schedules.make_schedule(
        config.schedule, peak=1.0, epochs=config.epochs, steps_per_epoch=steps_per_epoch
    )
    peak = config.optim.learning_rate
    shape, task = shape_px(config), _task(config)
    model = models.make(config.model, classes=classes, shape_px=shape)
    if config.data.name == STRINGS:
        _check_lengths(config, shape[1])
    optimizer = optimizers.make_optimizer(config.optim, relative_rate, injected=injected)
    trained = None
    if config.init_from:
        layers = models.layer_names(model, (*shape, 1))
        if config.transfer.frozen:
            trained = (models.head_of(layers),)
            factors = {name: float(name in trained) for name in layers}
        else:
            factors = {name: config.transfer.layer_decay**i for i, name in enumerate(reversed(layers))}
        optimizer = optimizers.by_layer(optimizer, factors)
    scratch = settings(config) if config.model.name == "scratch" else None
    if scratch is not None:
        optimizer = optax.GradientTransformation(zero_moments, _no_update)
    augmentation = config.augment.to_dict()
    mixing = {name: augmentation.pop(name) for name in MIX}
    return Recipe(
        model=model,
        optimizer=optimizer,
        schedule=lambda step: peak * relative_rate(step),
        average=averages.make_average(config.average, total_steps=config.epochs * steps_per_epoch),
        frame=functools.partial(frame, **config.frame.to_dict()),
        augment=functools.partial(augment, **augmentation),
        augmented=changes(augmentation),
        mix=functools.partial(mix, **mixing) if any(mixing.values()) else None,
        task=task,
        loss=functools.partial(task.loss, **_loss_options(config, counts)),
        mean=mean,
        std=std,
        batch_size=config.batch_size,
        steps_per_epoch=steps_per_epoch,
        accumulate=config.optim.accumulate,
        gradient_norm=config.optim.gradient_norm,
        scratch=scratch,
        trained=trained,
        nonfinite=config.nonfinite.policy,
        patience_epochs=config.eval.patience_epochs,
        eval_shift_px=config.eval.shift_px,
    )
