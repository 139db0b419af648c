"""Measurements on this machine: training, inference, convolutions, and the best that the machine can do.

Every time is the median of several calls after one warm-up call, and every call waits for its result.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from ml_collections import ConfigDict

from hwr_jax.core.types import Dataset
from hwr_jax.models import convolution
from hwr_jax.steps.compiled import reader
from hwr_jax.steps.cost import step_cost
from hwr_jax.steps.run import compile_training, make_run, on_device

GIGA = 1e9


def seconds(call: Callable[[], Any], *, repeats: int) -> np.ndarray:
    """Returns the seconds [repeats] of each of `repeats` calls, after one that is not counted."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return np.array(times)


@functools.cache
def machine_limits(*, repeats: int = 20) -> dict[str, float]:
    """Returns the best speed of a float32 matrix product (GFLOP/s) and of a memory copy (GB/s, read and written).

    It is measured once per process.
    """
    side = 1024 if jax.default_backend() == "cpu" else 8192
    square = jax.random.normal(jax.random.key(0), (side, side), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    long = jnp.zeros((32 if jax.default_backend() == "cpu" else 512) * 2**20, jnp.float32)
    copy = jax.jit(lambda a: a + 1)
    return {
        "matmul_side": side,
        "matmul_gflops": 2 * side**3 / seconds(lambda: product(square), repeats=repeats).min() / GIGA,
        "copy_gbps": 2 * long.nbytes / seconds(lambda: copy(long), repeats=repeats).min() / GIGA,
    }


def training(
    config: ConfigDict, dataset: Dataset, *, steps: int, repeats: int = 5, devices: int = 0, seed_groups: int = 1
) -> dict[str, Any]:
    """Times optimiser steps of a config, all of its seeds together.

    Args:
      config: checked.
      dataset: what it trains on.
      steps: per timed call, which is one dispatch.
      repeats: timed calls.
      devices, seed_groups: as for `make_run`.

    Returns:
      compile_seconds; images_per_second (of all seeds) and its quartiles; by XLA's cost analysis of one step
      flops_per_image, flops_per_byte (before fusion) and fused_flops_per_byte (after it; a cache keeps still more bytes
      from memory); gflops reached. The last four are None where XLA has no cost analysis.
    """
    config = config.copy_and_resolve_references()
    config.eval.patience_epochs = 0  # no epoch ends here, so nothing is validated
    run = make_run(config, dataset, devices=devices, seed_groups=seed_groups)
    programs, compile_seconds = compile_training(run)
    state = programs.init(run.seed_array())
    order = programs.order(*run.order_arguments(0))
    arrays = on_device(run, dataset.train)

    def dispatch():
        nonlocal state
        state = programs.steps(state, arrays, order, jnp.int32(steps))
        return state.totals

    times = seconds(dispatch, repeats=repeats)
    speeds = steps * config.batch_size * len(run.seeds) / times
    cost = step_cost(run.recipe, run.state_shapes(), dataset.train, compiled=True)
    low, median, high = np.quantile(speeds, (0.25, 0.5, 0.75))
    return {
        "batch_size": config.batch_size,
        "seeds": len(run.seeds),
        "examples": len(dataset.train.label),
        "compile_seconds": compile_seconds,
        "images_per_second": median,
        "quartiles": [low, high],
        "flops_per_image": cost.flops_per_image,
        "flops_per_byte": cost.flops_per_byte,
        "fused_flops_per_byte": cost.fused_flops_per_byte,
        "gflops": cost.flops_per_image and median * cost.flops_per_image / GIGA,
    }


def inference(config: ConfigDict, dataset: Dataset, *, batch: int, calls: int) -> dict[str, Any]:
    """Times predictions of `batch` images, from the host and back to it, as a `Predictor` makes them: p50 and p99 in
    seconds."""
    own = config.copy_and_resolve_references()
    own.seeds = 1
    run = make_run(own, dataset, devices=1)
    state = run.programs.init(run.seed_array())
    read = reader(run.programs, state.params, state.model_state, strings=run.plan.reads_strings)
    some = np.asarray(dataset.test.image)[np.arange(batch) % len(dataset.test.label)]
    times = seconds(lambda: np.asarray(read(some)), repeats=calls)
    p50, p99 = np.quantile(times, (0.5, 0.99))
    return {"batch": batch, "p50_s": p50, "p99_s": p99, "images_per_second": batch / p50}


def convolutions(
    shape: tuple[int, ...], kernel: tuple[int, ...], *, calls: int, which: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Times each convolution with both of its gradients, and compares it with float64.

    Args:
      shape: B, H, W, C of the images.
      kernel: h, w, C, F.
      calls: timed calls.
      which: convolutions of `models.convolution`.

    Returns:
      Per convolution: alone_s (outside any loop), in_loop_s (one turn of a compiled loop) and
      max_relative_error of output and gradients (relative to the largest value of each).
    """
    keys = jax.random.split(jax.random.key(0), 2)
    image, weights = jax.random.normal(keys[0], shape), jax.random.normal(keys[1], kernel)
    turns = 4
    found = {}
    exact = _reference(np.asarray(image, np.float64), np.asarray(weights, np.float64))
    for name in which:

        def both(image, weights, convolve=convolution.CONVOLUTIONS[name]):
            def forward(image, weights):
                return convolve(image, weights, (1, 1), "VALID", dimension_numbers=convolution.NHWC)

            out, back = jax.vjp(forward, image, weights)
            return out, *back(out)

        def loop(image, weights, both=both):
            def turn(_, carry):  # each turn depends on the one before
                _, of_image, of_weights = both(*carry)
                return carry[0] + 1e-9 * of_image, carry[1] + 1e-9 * of_weights

            return lax.fori_loop(0, turns, turn, (image, weights))

        alone, looped = jax.jit(both), jax.jit(loop)
        errors = [
            np.abs(np.asarray(a) - b).max() / np.abs(b).max() for a, b in zip(alone(image, weights), exact, strict=True)
        ]
        found[name] = {
            "alone_s": float(np.median(seconds(lambda f=alone: f(image, weights), repeats=calls))),
            "in_loop_s": float(np.median(seconds(lambda f=looped: f(image, weights), repeats=calls))) / turns,
            "max_relative_error": float(max(errors)),
        }
    return found


def _reference(image: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The convolution (stride 1, no padding) in NumPy, and both gradients of half the sum of its squares."""
    size = weights.shape[:2]
    height, width = (n - k + 1 for n, k in zip(image.shape[1:3], size, strict=True))
    places = [(i, j, image[:, i : i + height, j : j + width]) for i in range(size[0]) for j in range(size[1])]
    out = sum(window @ weights[i, j] for i, j, window in places)
    of_image, of_weights = np.zeros_like(image), np.zeros_like(weights)
    for i, j, window in places:
        of_image[:, i : i + height, j : j + width] += out @ weights[i, j].T
        of_weights[i, j] = np.tensordot(window, out, axes=([0, 1, 2], [0, 1, 2]))
    return out, of_image, of_weights
