"""Learning-rate schedules by name: functions of the step, from optax."""

from __future__ import annotations

from typing import Any

import optax

from hwr_jax.core.errors import ConfigError

SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle", "restarts")


def make_schedule(config: Any, *, peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Makes the function step -> learning rate that `config.schedule` describes.

    constant: peak. step: times `decay` every `step_epochs`. exponential: the same decay, spread over the steps. cosine:
    down to `final` * peak at the end (Loshchilov & Hutter 2017). restarts: one cosine after another, the first
    `step_epochs` long, each `growth` times as long as the one before (SGDR, same paper); the end of the run cuts the
    last one off. one_cycle: cosine from peak / 25 up to the peak at the share `rise` of the run, then down to peak /
    250,000 (Smith & Topin 2019; optax's constants). All except one_cycle begin with a linear warm-up of
    `warmup_epochs`, which is part of the run.

    Args:
      config: `config.schedule`, validated.
      peak: the highest learning rate.
      epochs, steps_per_epoch: the length of the run.

    Raises:
      ConfigError: the warm-up is as long as the run.

    >>> from hwr_jax.config import configs
    >>> config = configs.load("mlp", {"schedule.name": "cosine", "schedule.warmup_epochs": 1.0})
    >>> rate = make_schedule(config.schedule, peak=0.1, epochs=10, steps_per_epoch=100)
    >>> [round(float(rate(step)), 3) for step in (0, 50, 100, 550, 1000)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
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
    elif config.name == "exponential":
        main = optax.exponential_decay(peak, max(1, round(config.step_epochs * steps_per_epoch)), config.decay)
    elif config.name == "restarts":
        main = _restarts(config, peak, total - warmup, steps_per_epoch)
    else:
        main = optax.cosine_decay_schedule(peak, total - warmup, alpha=config.final)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])


def _restarts(config: Any, peak: float, total: int, steps_per_epoch: int) -> optax.Schedule:
    length, begin = max(1, round(config.step_epochs * steps_per_epoch)), 0
    parts, begins = [], []
    while begin < total:
        parts.append(optax.cosine_decay_schedule(peak, length, alpha=config.final))
        begin += length
        begins.append(begin)
        length = max(1, round(length * config.growth))
    return optax.join_schedules(parts, begins[:-1])
