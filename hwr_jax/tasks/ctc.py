"""Connectionist temporal classification: the loss, and reading a string from scores over time.

Each time step has scores for K classes and, last, the blank. A path (one symbol per step) spells the string that is
left after merging repeats and dropping blanks. Strings are int32 [L], padded with -1.

Source: Graves, Fernandez, Gomez & Schmidhuber 2006.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import lax

NOTHING = -1  # after the end of a string


def loss(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Minus the log probability of the label, summed over all its paths, in nats.

    Args:
      logits: float32 [B, T, K + 1], the blank last.
      label: int32 [B, L], padded with -1.

    Returns:
      float32 [B]; about 1e5 where the label needs more time steps than there are.
    """
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        paddings = jnp.zeros(logits.shape[:2], logits.dtype), (label < 0).astype(logits.dtype)
        never = -1e5 + 0 * logits[0, 0, 0]  # optax's value, made from the logits for optax's loop under shard_map
        blank = logits.shape[-1] - 1
        return optax.ctc_loss(logits, paddings[0], label, paddings[1], blank_id=blank, log_epsilon=never)


def best_path(logits: jax.Array) -> jax.Array:
    """Returns the string of the most probable path: logits [B, T, K + 1] -> int32 [B, T].

    >>> logits = jax.nn.one_hot(jnp.array([[3, 3, 10, 3, 7, 10]]), 11)  # digits; 10 is the blank
    >>> best_path(logits).tolist()
    [[3, 3, 7, -1, -1, -1]]
    """
    blank = logits.shape[-1] - 1
    symbol = jnp.argmax(logits, -1).astype(jnp.int32)
    before = jnp.pad(symbol[:, :-1], ((0, 0), (1, 0)), constant_values=blank)
    keep = (symbol != blank) & (symbol != before)
    order = jnp.argsort(~keep, axis=-1, stable=True)  # moves the kept symbols to the left, in order
    return jnp.where(jnp.take_along_axis(keep, order, -1), jnp.take_along_axis(symbol, order, -1), NOTHING)


def probability(logits: jax.Array, string: jax.Array) -> jax.Array:
    """Returns the probability float32 [B] of each string int32 [B, L], summed over all its paths."""
    return jnp.exp(-loss(logits, string))


def beam_search(logits: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """Returns the `width` most probable strings of each example, by prefix beam search (Hannun et al. 2014).

    Unlike `best_path` it adds up the paths of a string. It is exact if `width` is at least the number of prefixes.

    Args:
      logits: float32 [B, T, K + 1], the blank last.
      width: prefixes kept after each step.

    Returns:
      strings int32 [B, width, T] and their log probabilities float32 [B, width] (lower bounds, as paths through
      dropped prefixes are not counted), the most probable first; -inf where there are fewer than `width` strings.
    """
    return jax.vmap(lambda scores: _beams(jax.nn.log_softmax(scores), width))(logits)


def _beams(log_prob: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """`beam_search` of one example: log_prob [T, K + 1]."""
    steps, classes = log_prob.shape[0], log_prob.shape[1] - 1
    never = -jnp.inf
    first = jnp.arange(width) == 0  # the search begins with the empty prefix alone
    start = (
        jnp.full((width, steps), NOTHING),
        jnp.zeros(width, jnp.int32),
        jnp.where(first, 0.0, never),
        jnp.full(width, never),
    )

    def step(beams, now):
        prefix, length, blank, label = beams  # log probabilities of the paths that end in a blank and in a label
        both = jnp.logaddexp(blank, label)
        at_end = jnp.arange(steps)[None] == length[:, None] - 1
        last = jnp.sum(jnp.where(at_end, prefix, 0), -1)
        stay_blank = both + now[classes]
        stay_label = jnp.where(length > 0, label + now[last], never)
        repeats = (jnp.arange(classes)[None] == last[:, None]) & (length > 0)[:, None]
        longer = now[None, :classes] + jnp.where(repeats, blank[:, None], both[:, None])
        # Prefix i with one more label may equal prefix j, which is kept already: merge the two.
        parent = jnp.where(at_end, NOTHING, prefix)
        grows = jnp.all(prefix[:, None] == parent[None], -1) & (length[:, None] + 1 == length[None])
        grows = grows & (both > never)[None]
        joins = jnp.where(grows, longer[:, last], never)
        stay_label = jnp.logaddexp(stay_label, jax.nn.logsumexp(joins, axis=0))
        taken = jnp.any(grows[:, :, None] & (last[None, :, None] == jnp.arange(classes)[None, None]), axis=1)
        longer = jnp.where(taken, never, longer)
        scores = jnp.concatenate([jnp.logaddexp(stay_blank, stay_label), longer.reshape(-1)])
        _, chosen = lax.top_k(scores, width)
        grown = chosen >= width
        source = jnp.where(grown, (chosen - width) // classes, chosen)
        added = (chosen - width) % classes
        here = (jnp.arange(steps)[None] == length[source][:, None]) & grown[:, None]
        return (
            jnp.where(here, added[:, None], prefix[source]),
            length[source] + grown.astype(jnp.int32),
            jnp.where(grown, never, stay_blank[source]),
            jnp.where(grown, scores[chosen], stay_label[source]),
        ), None

    (prefix, _, blank, label), _ = lax.scan(step, start, log_prob)
    score, order = lax.top_k(jnp.logaddexp(blank, label), width)
    return prefix[order], score
