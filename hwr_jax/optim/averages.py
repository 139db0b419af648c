"""Averages of the weights over the steps, evaluated in place of the last weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from hwr_jax.core.types import Tree

AVERAGES = ("none", "ema", "swa")

Average = Callable[[jax.Array, Tree, Tree], Tree]  # (steps before this one [], average, new values) -> average


def make_average(config: Any, *, total_steps: int) -> Average | None:
    """Makes the average that `config.average` describes; None for none.

    ema: exponential moving average with `decay` per step (Polyak & Juditsky 1992; Tarvainen & Valpola 2017). swa: mean
    of all steps (stochastic weight averaging, Izmailov et al. 2018; here over every step, and over the batch statistics
    too, which that paper computes anew). Both begin at the share `start` of the run with the weights of that step. At
    first an EMA is a plain mean, until `decay` forgets more slowly, so that early weights do not count too much.

    Args:
      config: `config.average`, validated.
      total_steps: of the run.
    """
    if config.name == "none":
        return None
    first = round(config.start * total_steps)
    least = 1 - config.decay if config.name == "ema" else 0.0

    def average(step: jax.Array, kept: Tree, new: Tree) -> Tree:
        share = jnp.maximum(least, 1 / (jnp.maximum(step - first, 0).astype(jnp.float32) + 1))
        return optax.incremental_update(new, kept, share)

    return average
