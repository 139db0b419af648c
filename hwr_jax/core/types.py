"""The central types, each field with its shape, dtype and unit.

Axis letters: N examples, B batch, S seeds, H W image, K classes, L longest string, T time steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import jax

Tree = Any  # a pytree of arrays
Array = Any  # np.ndarray on the host, jax.Array on the device


class Arrays(NamedTuple):
    """One split, as it lies in memory or on the device."""

    image: Array  # uint8 [N, H, W, 1], 0 = paper, 255 = ink
    label: Array  # int32 [N], 0 <= label < K; strings: [N, L], padded with -1


class Dataset(NamedTuple):
    """A verified data set. `mean` and `std` (for standardising) are of the training pixels on the scale 0..1."""

    name: str
    version: str
    sha256: str  # of the content, whatever the file format
    train: Arrays
    validation: Arrays
    test: Arrays
    classes: tuple[str, ...]  # K names
    mean: float
    std: float
    named: tuple[str, ...] = ()  # what the classes are called where the data lies, if `classes` are those of a model
    drawn_test: bool = False  # were the test examples drawn from a user's pictures, which came without a split?


class Batch(NamedTuple):
    """What the model sees."""

    image: jax.Array  # float32 [B, H, W, 1], standardised
    label: jax.Array  # int32 [B] (or [B, L])
    partner: jax.Array | None = None  # int32 [B], the label of what was mixed in (mixup, cutmix)
    share: jax.Array | None = None  # float32 [B], of `label`; the partner's is 1 - share


class Totals(NamedTuple):
    """Sums over the epoch so far, so that an interrupted epoch reports the same means."""

    loss: jax.Array  # float32 [], sum over examples, nats
    hits: jax.Array  # int32 [], correct predictions on the training batches
    examples: jax.Array  # int32 []


class NormTotals(NamedTuple):
    """The same with config.optim.gradient_norm. A type of its own, for a state's checkpoint has exactly its leaves."""

    loss: jax.Array
    hits: jax.Array
    examples: jax.Array
    norm: jax.Array  # float32 [], sum over the steps of the gradient's global norm


class Best(NamedTuple):
    """The weights that were best on validation so far (their averages, if the run keeps them)."""

    accuracy: jax.Array  # float32 [], -1 before the first validation
    step: jax.Array  # int32 []
    params: Tree
    model_state: Tree


class Faults(NamedTuple):
    """How updates that were not finite were handled (see config.nonfinite)."""

    skipped: jax.Array  # int32 [], updates skipped so far
    in_a_row: jax.Array  # int32 [], updates skipped in a row up to now
    longest: jax.Array  # int32 [], the most in a row so far
    scale: jax.Array  # float32 [], of the learning rate: halved by each rollback


class TrainState(NamedTuple):
    """Everything that resuming needs. Only arrays, so vmap, scan, donation, pmap and orbax just work."""

    step: jax.Array  # int32 [], optimiser steps done
    params: Tree
    model_state: Tree  # batch statistics; {} without them
    opt_state: Tree
    key: jax.Array  # typed PRNG key []; the seed's root, never advanced
    totals: Totals | NormTotals
    best: Best
    average: Tree  # {"params", "model_state"}, averaged over the steps, to evaluate in their place; {} without
    faults: Faults


class Outputs(NamedTuple):
    """Predictions and their losses, per example. The host averages them."""

    loss: Array  # float32 [N], cross-entropy (strings: CTC loss) in nats
    pred: Array  # int32 [N]; strings: [N, T], padded with -1
    prob: Array  # float32 [N, K]; strings: [N, T, K + 1], of each time step, the blank last
    confidence: Array  # float32 [N], the probability of the prediction
