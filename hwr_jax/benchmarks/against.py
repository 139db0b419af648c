"""The config against other programs, measured in turns: the peers, and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwr_jax.benchmarks import measure, peers, torch_peer
from hwr_jax.benchmarks.plan import Plan
from hwr_jax.models import convolution


def against_peers(plan: Plan) -> dict[str, Any] | None:
    """Runs the main job and the peer programs in turns; returns None if there is no peer to run."""
    if plan.peers_dir is None:
        plan.log("skipped: --peers_dir is not set")
        return None
    folder, python = plan.peers_dir.resolve(), plan.peers_python
    found: dict[str, Any] = {}
    for name in plan.peers:
        peer = peers.PEERS[name]
        if reason := peers.missing(peer, folder, python):
            plan.log(f"{name} skipped: {reason}")
            continue
        one = peers.alternate(
            lambda seed: peers.run_main_job(plan.path, seed=seed, seeds=1, more=plan.overrides),
            lambda seed, peer=peer: peers.run_peer(peer, folder, python, seed),
            plan.pairs,
        )
        found[name] = one
        ratio = one["ratio"]
        plan.log(
            f"{name}: ours takes {ratio['median']:.3f} of its time ({ratio['lowest']:.3f} to {ratio['highest']:.3f}, "
            f"{one['pairs']} pairs); median accuracies {100 * np.median(one['ours_accuracy']):.2f} % and "
            f"{100 * np.median(one['theirs_accuracy']):.2f} %"
        )
    return found or None


def against_pytorch(plan: Plan) -> dict[str, Any] | None:
    """Times inference and convolutions of the peers' network in turns with PyTorch; None if PyTorch cannot run."""
    if plan.reads_strings:
        plan.log("skipped: the peers' network reads images of one digit, but this config reads lines")
        return None
    if plan.peers_dir is None:
        plan.log("skipped: --peers_dir is not set")
        return None
    folder, python = plan.peers_dir.resolve(), plan.peers_python
    if reason := peers.missing(peers.PEERS["pytorch-fast"], folder, python):
        plan.log(f"skipped: {reason}")
        return None
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(plan.pairs):
        ours.append(_network_seconds(plan))
        theirs.append(peers.torch_speed(folder, python))
    found = {what: peers.compare([o[what] for o in ours], [t[what] for t in theirs]) for what in theirs[0]}
    for what, one in found.items():
        plan.log(f"{what}: {peers.in_words(one)}")
    return found


def _network_seconds(plan: Plan) -> dict[str, float]:
    """Our seconds for what `torch_speed` measures, under its names."""
    network = peers.network(plan.config)
    found, ours = {}, convolution.chosen("auto", train=True)
    for batch, calls in torch_peer.CALLS.items():
        found[f"inference {batch}"] = measure.inference(network, plan.dataset, batch=batch, calls=calls)["p50_s"]
    for name, (shape, kernel) in peers.convolutions():
        one = measure.convolutions(shape, kernel, calls=20, which=(ours,))
        found[f"convolution {name}"] = one[ours]["in_loop_s"]
    return found
