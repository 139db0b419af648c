"""The parts of a benchmark: each measures one thing, says it in a line or two, and returns it for benchmark.json."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from hwr_jax import data
from hwr_jax.benchmarks import measure, peers, torch_peer
from hwr_jax.core.types import Arrays, Dataset


class Job(NamedTuple):
    """What is measured, and how often."""

    path: str  # of the config file, with its variant
    overrides: tuple[str, ...]  # --config.KEY=VALUE, for the processes that run the main job
    config: ConfigDict
    dataset: Dataset
    seeds: int  # of the part accuracy
    pairs: int  # turns of us and a peer
    peers: tuple[str, ...]
    peers_dir: Path | None
    peers_python: str
    log: Callable[[str], None]


def limits(job: Job) -> dict[str, Any]:
    """The best matrix product and memory copy."""
    found = measure.machine_limits()
    job.log(f"matrix product {found['matmul_gflops']:,.0f} GFLOP/s, copy {found['copy_gbps']:.1f} GB/s")
    return found


def accuracy(job: Job) -> dict[str, Any]:
    """Seconds inside the steps to the test accuracy that the config reaches, over seeds."""
    run = peers.run_main_job(job.path, seed=job.config.seed, seeds=job.seeds, more=job.overrides)
    keys = ("dataset", "seeds", "epochs", "steps", "parameters", "train_seconds", "compile_seconds", "wall_seconds")
    found = {key: run[key] for key in keys} | {"accuracy": run["test"]["accuracy"]}
    found["seconds_per_seed"] = run["train_seconds"] / len(run["seeds"])
    mean = found["accuracy"]["mean"]
    job.log(f"{100 * mean:.3f} % mean of {len(run['seeds'])} seeds, {found['seconds_per_seed']:.2f} s a seed")
    return found


def training(job: Job) -> dict[str, Any]:
    """Speed of training, with its share of the best matrix product."""
    peak = measure.machine_limits()["matmul_gflops"]
    found = measure.training(job.config, job.dataset, steps=max(1, 20_000 // job.config.batch_size))
    found["share_of_matmul_peak"] = found["gflops"] and found["gflops"] / peak
    found["peak_memory_gb"] = _peak_memory_bytes() / 1e9
    job.log(
        f"{found['images_per_second']:,.0f} images/s, {found['gflops'] or math.nan:.0f} GFLOP/s "
        f"({100 * (found['share_of_matmul_peak'] or math.nan):.0f} % of the matrix product), "
        f"compiled in {found['compile_seconds']:.1f} s"
    )
    return found


def _peak_memory_bytes() -> int:
    """The most that was in use so far: on the device, or (CPU) by the whole process."""
    on_device = jax.local_devices()[0].memory_stats() or {}
    return on_device.get("peak_bytes_in_use") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def inference(job: Job) -> dict[str, Any]:
    """Latency and throughput of predictions: of the config, and of the network that the peers have too."""
    found = {"config": []} if _reads_strings(job) else {"config": [], "network of the peers": []}
    for network in found:
        own = job.config if network == "config" else _peer_network(job.config)
        for batch, calls in torch_peer.CALLS.items():
            one = measure.inference(own, job.dataset, batch=batch, calls=calls)
            found[network].append(one)
            job.log(
                f"{network}, batch {batch}: p50 {1e3 * one['p50_s']:.3f} ms, p99 {1e3 * one['p99_s']:.3f} ms, "
                f"{one['images_per_second']:,.0f} images/s"
            )
    return found


def _reads_strings(job: Job) -> bool:
    """Whether the config's data are lines: the peers' network takes pictures of one digit."""
    return job.config.data.name == data.STRINGS


def _peer_network(config):
    """The config with the network of the peers' recipe 'fast'."""
    own = config.copy_and_resolve_references()
    own.model.update(
        name="cnn", features=(24, 32), kernels_px=(5, 3), strides_px=(1, 1), pools=(True, True), padding="valid",
        dense=256, norm="none", activation="relu",
    )  # fmt: skip
    own.frame.update(deskew=False, centre=False, crop_px=0, side_px=0)
    return own


def scaling(job: Job) -> dict[str, Any]:
    """Speed of training over batch size, width, seeds and examples."""

    def timed(changed, dataset, value):
        found = measure.training(
            changed, dataset, steps=max(1, 8_000 // (changed.batch_size * changed.seeds)), repeats=3
        )
        job.log(f"  {value}: {found['images_per_second']:,.0f} images/s")
        return {"value": value, **found}

    def changed(**values):
        own = job.config.copy_and_resolve_references()
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
        return job.dataset._replace(train=Arrays(*(x[:examples] for x in job.dataset.train)))

    found: dict[str, list] = {}
    everything = len(job.dataset.train.label)
    job.log("batch size")
    found["batch_size"] = [
        timed(changed(batch_size=b), job.dataset, b) for b in (16, 32, 64, 128, 256, 512) if b <= everything
    ]
    job.log("width, times the config's")
    found["width"] = [timed(wider(f), job.dataset, f) for f in (0.5, 1, 2)]
    job.log("seeds")
    found["seeds"] = [timed(changed(seeds=s), job.dataset, s) for s in (1, 2, 4, 8)]
    job.log("examples")
    sizes = sorted({n for n in (1_000, 10_000) if job.config.batch_size <= n < everything} | {everything})
    found["examples"] = [timed(job.config, fewer(n), n) for n in sizes]
    return found


def convolution(job: Job) -> dict[str, Any]:
    """Forward and both gradients, against XLA's own, at the shapes of the peers' network."""
    found: dict[str, Any] = {}
    for name, (shape, kernel) in _peer_convolutions():
        found[name] = {"shape": shape, "kernel": kernel, **measure.convolutions(shape, kernel, calls=20)}
        ours, native = found[name]["patches"], found[name]["native"]
        job.log(
            f"{name}: {1e3 * ours['alone_s']:.1f} ms alone, {1e3 * ours['in_loop_s']:.1f} ms in a loop; XLA's own "
            f"{native['alone_s'] / ours['alone_s']:.1f}x and {native['in_loop_s'] / ours['in_loop_s']:.1f}x of that"
        )
    return found


def _peer_convolutions() -> Iterator[tuple[str, tuple]]:
    """The name, B H W C of the images and h w C F of the kernel of each convolution of the peers' network."""
    for name, (nchw, oihw) in torch_peer.CONVOLUTIONS.items():
        yield name, (tuple(nchw[i] for i in (0, 2, 3, 1)), tuple(oihw[i] for i in (2, 3, 1, 0)))


def against_peers(job: Job) -> dict[str, Any] | None:
    """The main job against the peer programs, in turns; None if there is none to run."""
    if job.peers_dir is None:
        job.log("skipped: --peers_dir names no folder of peer programs")
        return None
    folder, python = job.peers_dir.resolve(), job.peers_python
    found: dict[str, Any] = {}
    for name in job.peers:
        peer = peers.PEERS[name]
        if reason := peers.missing(peer, folder, python):
            job.log(f"{name} skipped: {reason}")
            continue
        one = peers.alternate(
            lambda seed: peers.run_main_job(job.path, seed=seed, seeds=1, more=job.overrides),
            lambda seed, peer=peer: peers.run_peer(peer, folder, python, seed),
            job.pairs,
        )
        found[name] = one
        ratio = one["ratio"]
        job.log(
            f"{name}: {ratio['median']:.3f} of its time ({ratio['lowest']:.3f} to {ratio['highest']:.3f}, "
            f"{one['pairs']} pairs); median accuracies {100 * np.median(one['ours_accuracy']):.2f} % and "
            f"{100 * np.median(one['theirs_accuracy']):.2f} %"
        )
    return found or None


def against_pytorch(job: Job) -> dict[str, Any] | None:
    """Inference and convolutions of the peers' network, in turns with PyTorch's; None if that cannot be run."""
    if _reads_strings(job):
        job.log("skipped: the peers' network reads pictures of one digit, and this config lines")
        return None
    if job.peers_dir is None:
        job.log("skipped: --peers_dir names no folder of peer programs")
        return None
    folder, python = job.peers_dir.resolve(), job.peers_python
    if reason := peers.missing(peers.PEERS["pytorch-fast"], folder, python):
        job.log(f"skipped: {reason}")
        return None
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(job.pairs):
        ours.append(_network_seconds(job))
        theirs.append(peers.torch_speed(folder, python))
    found = {what: peers.compare([o[what] for o in ours], [t[what] for t in theirs]) for what in theirs[0]}
    for what, one in found.items():
        ratio = one["ratio"]
        job.log(
            f"{what}: {1e3 * np.median(one['ours_s']):.2f} ms against {1e3 * np.median(one['theirs_s']):.2f}: "
            f"{ratio['median']:.2f} of its time ({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
        )
    return found


def _network_seconds(job: Job) -> dict[str, float]:
    """Our seconds of what `torch_speed` measures, under its names."""
    network = _peer_network(job.config)
    found = {}
    for batch, calls in torch_peer.CALLS.items():
        found[f"inference {batch}"] = measure.inference(network, job.dataset, batch=batch, calls=calls)["p50_s"]
    for name, (shape, kernel) in _peer_convolutions():
        one = measure.convolutions(shape, kernel, calls=20, which=("patches",))
        found[f"convolution {name}"] = one["patches"]["in_loop_s"]
    return found


PARTS = {
    "limits": limits,
    "accuracy": accuracy,
    "training": training,
    "inference": inference,
    "scaling": scaling,
    "convolution": convolution,
    "peers": against_peers,
    "pytorch": against_pytorch,
}
