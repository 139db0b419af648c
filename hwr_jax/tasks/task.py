"""What the scores of a network mean: one class, or a string. On the device, the two differ only here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hwr_jax.tasks import ctc, losses


class Task(NamedTuple):
    """Functions of logits [B, ...] and labels [B, ...]."""

    loss: Callable[..., jax.Array]  # (logits, label) -> nats [B]
    guess: Callable[[jax.Array], jax.Array]  # logits -> prediction, cheap: for training batches
    read: Callable[[jax.Array], jax.Array]  # logits -> prediction
    confidence: Callable[[jax.Array, jax.Array], jax.Array]  # (logits, prediction) -> its probability [B]


def classification() -> Task:
    """Returns the task of naming one class: logits [B, K], labels and predictions int32 [B]."""
    return Task(
        losses.cross_entropy, _most_probable, _most_probable, lambda logits, pred: jnp.max(jax.nn.softmax(logits), -1)
    )


def _most_probable(logits: jax.Array) -> jax.Array:
    return jnp.argmax(logits, -1).astype(jnp.int32)


def strings(*, beam: int) -> Task:
    """Returns the task of reading a string, by CTC.

    Logits are [B, T, K + 1], labels int32 [B, L] and predictions int32 [B, T], both padded with -1.

    Args:
      beam: width of the beam search; 1: the most probable path.
    """
    read = ctc.best_path if beam == 1 else functools.partial(_best_of_beam, width=beam)
    return Task(ctc.loss, ctc.best_path, read, ctc.probability)


def _best_of_beam(logits: jax.Array, *, width: int) -> jax.Array:
    return ctc.beam_search(logits, width)[0][:, 0]
