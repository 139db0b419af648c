"""The config's own network in turns with its twin in PyTorch: training steps without augmentation, and inference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from hwr_jax.benchmarks import measure, peers, torch_peer
from hwr_jax.benchmarks.plan import Plan
from hwr_jax.config import defaults
from hwr_jax.core.errors import DataError
from hwr_jax.steps.run import make_run
from hwr_jax.transforms.frame import framed_shape_px

PROGRAM = Path(__file__).with_name("torch_twin.py")
NETWORKS = ("mlp", "cnn", "lenet", "resnet", "rnn", "vit", "crnn")  # those that have a twin
ACTIVATIONS, NORMS = ("relu", "tanh", "gelu"), ("none", "batch")  # that the twins have
STEPS, REPEATS = 15, 5  # of training: steps in a stretch, and stretches, whose median counts


def against_twin(plan: Plan) -> dict[str, Any] | None:
    """Times the config's network and its twin in turns; the faster of PyTorch's eager and compiled forms counts.

    Returns:
      Of "training" (a step) and "inference N" (a batch of N, from bytes to probabilities): `peers.compare`, and of each
      turn which form of the twin was the faster. None, if there is no twin or PyTorch cannot run.

    Raises:
      DataError: the twin failed, or has another number of parameters.
    """
    config = bare(plan.config)
    peer = peers.Peer(("-P", str(PROGRAM), json.dumps(wanted(config, plan))), "torch", {})
    if reason := without_twin(config) or peers.cannot_import(peer, plan.peers_python):
        plan.log(f"skipped: {reason}")
        return None
    run = make_run(config, plan.dataset, devices=1)
    parameters = sum(int(np.prod(x.shape[1:])) for x in jax.tree.leaves(run.state_shapes().params))
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    forms: list[dict[str, str]] = []
    for _ in range(plan.pairs):
        ours.append(_seconds(config, plan))
        found = peers.run_peer(peer, PROGRAM.parent, plan.peers_python, 0)
        if not found["seconds"]:
            raise DataError(f"PyTorch's twin failed: {'; '.join(found['failed'].values())}")
        if found["parameters"] != parameters:
            raise DataError(f"PyTorch's twin has {found['parameters']:,} parameters, and the network {parameters:,}")
        fastest = {what: min(found["seconds"], key=lambda how: found["seconds"][how][what]) for what in ours[-1]}
        theirs.append({what: found["seconds"][how][what] for what, how in fastest.items()})
        forms.append(fastest)
    result = {}
    for what in ours[0]:
        one = peers.compare([o[what] for o in ours], [t[what] for t in theirs])
        result[what] = {**one, "forms": [form[what] for form in forms]}
        plan.log(f"{what}: {peers.in_words(one)}")
    return result


def bare(config: ConfigDict) -> ConfigDict:
    """Returns a copy of the config for one seed, without augmentation and with one view in evaluation."""
    own = config.copy_and_resolve_references()
    own.seeds, own.eval.shift_px = 1, 0
    for key, value in defaults.of_base().items():
        if key.startswith("augment."):
            own.augment[key.removeprefix("augment.")] = value
    return own


def without_twin(config: ConfigDict) -> str | None:
    """Returns why the config's network has no twin, in words, or None if it has."""
    model = config.model
    if model.name not in NETWORKS:
        return f"{model.name} has no twin in PyTorch; {', '.join(NETWORKS)} have"
    if model.activation not in ACTIVATIONS or model.norm not in NORMS or model.precision != "float32":
        return f"the twins have {', '.join(ACTIVATIONS)}, batch normalisation or none, and float32"
    return None


def wanted(config: ConfigDict, plan: Plan) -> dict[str, Any]:
    """Returns what `torch_twin.py` is told."""
    height, width = plan.dataset.train.image.shape[1:3]
    frame = {key: config.frame[key] for key in ("crop_px", "side_px")}
    return {
        "model": config.model.to_dict(),
        "shape": list(framed_shape_px((height, width), **frame)),
        "classes": len(plan.dataset.classes),
        "label_length": int(np.prod(plan.dataset.train.label.shape[1:])),
        "batch_size": config.batch_size,
        "clip_norm": config.optim.clip_norm,
        "learning_rate": config.optim.learning_rate,
        "steps": STEPS,
        "repeats": REPEATS,
        "calls": torch_peer.CALLS,
        "device": "cuda" if jax.default_backend() == "gpu" else "cpu",
    }


def _seconds(config: ConfigDict, plan: Plan) -> dict[str, float]:
    """Our seconds for what the twin measures, under its names."""
    speed = measure.training(config, plan.dataset, steps=STEPS, repeats=REPEATS, devices=1)["images_per_second"]
    found = {"training": config.batch_size / speed}
    for batch, calls in torch_peer.CALLS.items():
        found[f"inference {batch}"] = measure.inference(config, plan.dataset, batch=batch, calls=calls)["p50_s"]
    return found
