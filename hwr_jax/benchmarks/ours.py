"""The speed of a config: each part measures one thing, logs it in a line or two, and returns it for benchmark.json."""

from __future__ import annotations

import math
import resource
from typing import Any

import jax

from hwr_jax.benchmarks import measure, peers, torch_peer
from hwr_jax.benchmarks.plan import Plan
from hwr_jax.core.types import Arrays
from hwr_jax.models.convolution import chosen


def limits(plan: Plan) -> dict[str, Any]:
    """Measures the best matrix product and memory copy."""
    found = measure.machine_limits()
    plan.log(f"matrix product {found['matmul_gflops']:,.0f} GFLOP/s, copy {found['copy_gbps']:.1f} GB/s")
    return found


def accuracy(plan: Plan) -> dict[str, Any]:
    """Measures the test accuracy that the config reaches, and the seconds inside its steps, over seeds."""
    run = peers.run_main_job(plan.path, seed=plan.config.seed, seeds=plan.seeds, more=plan.overrides)
    keys = ("dataset", "seeds", "epochs", "steps", "parameters", "train_seconds", "compile_seconds", "wall_seconds")
    found = {key: run[key] for key in keys} | {"accuracy": run["test"]["accuracy"]}
    found["seconds_per_seed"] = run["train_seconds"] / len(run["seeds"])
    mean = found["accuracy"]["mean"]
    plan.log(f"{100 * mean:.3f} % mean of {len(run['seeds'])} seeds, {found['seconds_per_seed']:.2f} s a seed")
    return found


def training(plan: Plan) -> dict[str, Any]:
    """Measures the speed of training, and its share of the best matrix product."""
    peak = measure.machine_limits()["matmul_gflops"]
    found = measure.training(plan.config, plan.dataset, steps=max(1, 20_000 // plan.config.batch_size))
    found["share_of_matmul_peak"] = found["gflops"] and found["gflops"] / peak
    found["peak_memory_gb"] = _peak_memory_bytes() / 1e9
    plan.log(
        f"{found['images_per_second']:,.0f} images/s, {found['gflops'] or math.nan:.0f} GFLOP/s "
        f"({100 * (found['share_of_matmul_peak'] or math.nan):.0f} % of the matrix product), "
        f"compiled in {found['compile_seconds']:.1f} s"
    )
    return found


def _peak_memory_bytes() -> int:
    """The most memory used so far: on the device, or (CPU) by the whole process."""
    on_device = jax.local_devices()[0].memory_stats() or {}
    return on_device.get("peak_bytes_in_use") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def inference(plan: Plan) -> dict[str, Any]:
    """Measures latency and throughput of predictions, for the config and for the peers' network."""
    found = {"config": []} if plan.reads_strings else {"config": [], "network of the peers": []}
    for network in found:
        own = plan.config if network == "config" else peers.network(plan.config)
        for batch, calls in torch_peer.CALLS.items():
            one = measure.inference(own, plan.dataset, batch=batch, calls=calls)
            found[network].append(one)
            plan.log(
                f"{network}, batch {batch}: p50 {1e3 * one['p50_s']:.3f} ms, p99 {1e3 * one['p99_s']:.3f} ms, "
                f"{one['images_per_second']:,.0f} images/s"
            )
    return found


def scaling(plan: Plan) -> dict[str, Any]:
    """Measures the speed of training over batch size, width, seeds and examples."""

    def timed(changed, dataset, value):
        found = measure.training(
            changed, dataset, steps=max(1, 8_000 // (changed.batch_size * changed.seeds)), repeats=3
        )
        plan.log(f"  {value}: {found['images_per_second']:,.0f} images/s")
        return {"value": value, **found}

    def changed(**values):
        own = plan.config.copy_and_resolve_references()
        own.update(values)
        return own

    def wider(factor):
        own = changed()
        own.model.features = tuple(max(1, int(f * factor)) for f in own.model.features)
        own.model.hidden = tuple(max(1, int(w * factor)) for w in own.model.hidden)
        own.model.dense = max(1, int(own.model.dense * factor))
        own.model.width = max(own.model.heads, int(own.model.width * factor) // own.model.heads * own.model.heads)
        return own

    def fewer(examples):
        return plan.dataset._replace(train=Arrays(*(x[:examples] for x in plan.dataset.train)))

    found: dict[str, list] = {}
    everything = len(plan.dataset.train.label)
    plan.log("batch size")
    found["batch_size"] = [
        timed(changed(batch_size=b), plan.dataset, b) for b in (16, 32, 64, 128, 256, 512) if b <= everything
    ]
    plan.log("width, as a multiple of the config's")
    found["width"] = [timed(wider(f), plan.dataset, f) for f in (0.5, 1, 2)]
    plan.log("seeds")
    found["seeds"] = [timed(changed(seeds=s), plan.dataset, s) for s in (1, 2, 4, 8)]
    plan.log("examples")
    sizes = sorted({n for n in (1_000, 10_000) if plan.config.batch_size <= n < everything} | {everything})
    found["examples"] = [timed(plan.config, fewer(n), n) for n in sizes]
    return found


def convolution(plan: Plan) -> dict[str, Any]:
    """Times our convolution, forward and both gradients, against XLA's own, at the shapes of the peers' network."""
    found: dict[str, Any] = {}
    own = chosen("auto", train=True)
    for name, (shape, kernel) in peers.convolutions():
        timed = measure.convolutions(shape, kernel, calls=20, which=(own, "native"))
        found[name] = {"shape": shape, "kernel": kernel, **timed}
        ours, native = timed[own], timed["native"]
        plan.log(
            f"{name}: {1e3 * ours['alone_s']:.1f} ms alone, {1e3 * ours['in_loop_s']:.1f} ms in a loop; XLA's own "
            f"{native['alone_s'] / ours['alone_s']:.1f}x and {native['in_loop_s'] / ours['in_loop_s']:.1f}x of that"
        )
    return found
