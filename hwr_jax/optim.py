"""Optimisers and learning-rate schedules by name, from optax. Owns the order in which their parts are chained.

    gradient -> clip -> + L1 and coupled L2 -> direction of the optimiser -> + decoupled weight decay -> times -rate

Penalties and decay act on kernels only (arrays of two or more axes): biases and normalisation are left alone.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from hwr_jax.errors import ConfigError
from hwr_jax.types import Tree


def _sgd(config: Any) -> optax.GradientTransformation:
    return optax.identity()


def _momentum(config: Any) -> optax.GradientTransformation:
    return optax.trace(decay=config.momentum)


def _nesterov(config: Any) -> optax.GradientTransformation:
    return optax.trace(decay=config.momentum, nesterov=True)


def _rmsprop(config: Any) -> optax.GradientTransformation:
    return optax.scale_by_rms(decay=config.b2, eps=config.eps)


def _adam(config: Any) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps)


OPTIMIZERS = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adam,
}


def kernels(params: Tree) -> Tree:
    """Returns a tree of bool: which parameters are penalised (those of two or more axes)."""
    return jax.tree.map(lambda p: p.ndim >= 2, params)


def add_l1(strength: float) -> optax.GradientTransformation:
    """Adds the subgradient of strength * |w|: strength * sign(w), 0 at 0."""

    def update(updates, params):
        return jax.tree.map(lambda g, p: g + strength * jnp.sign(p), updates, params)

    return optax.stateless(update)


def make_optimizer(config: Any, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Makes the gradient transformation that `config.optim` describes.

    Args:
      config: `config.optim`, validated.
      schedule: step -> learning rate.
    """
    if config.name == "adam" and config.weight_decay:
        raise ConfigError(
            f"config.optim.weight_decay={config.weight_decay} is decoupled decay, which with config.optim.name=adam is "
            "called adamw: use adamw, or config.optim.l2 for the coupled penalty"
        )
    parts = []
    if config.clip_norm:
        parts.append(optax.clip_by_global_norm(config.clip_norm))
    if config.l1:
        parts.append(optax.masked(add_l1(config.l1), kernels))
    if config.l2:
        parts.append(optax.add_decayed_weights(config.l2, mask=kernels))
    parts.append(OPTIMIZERS[config.name](config))
    if config.weight_decay:
        parts.append(optax.add_decayed_weights(config.weight_decay, mask=kernels))
    return optax.chain(*parts, optax.scale_by_learning_rate(schedule))


SCHEDULES = ("constant", "step", "cosine", "one_cycle")


def make_schedule(config: Any, *, peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Makes the function step -> learning rate that `config.schedule` describes.

    constant: peak. step: times `decay` every `step_epochs`. cosine: to `final` * peak at the end (Loshchilov & Hutter
    2017). one_cycle: cosine from peak / 25 up to the peak at `rise` of the run, then down to peak / 250,000 (Smith &
    Topin 2019; optax's constants). The first three begin with a linear warm-up of `warmup_epochs`, inside the run.

    Args:
      config: `config.schedule`, validated.
      peak: the highest learning rate.
      epochs, steps_per_epoch: the length of the run.

    Raises:
      ConfigError: the warm-up is as long as the run.
    """
    total = epochs * steps_per_epoch
    if config.name == "one_cycle":
        return optax.cosine_onecycle_schedule(total, peak, pct_start=config.rise)
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if warmup >= total:
        raise ConfigError(
            f"config.schedule.warmup_epochs={config.warmup_epochs} must be less than config.epochs={epochs}"
        )
    if config.name == "constant":
        main = optax.constant_schedule(peak)
    elif config.name == "step":
        every = max(1, round(config.step_epochs * steps_per_epoch))
        main = optax.exponential_decay(peak, every, config.decay, staircase=True)
    else:
        main = optax.cosine_decay_schedule(peak, total - warmup, alpha=config.final)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])
