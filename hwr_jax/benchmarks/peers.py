"""Runs the peer programs beside the main job, each as a process of its own, and reads what they print.

A peer is a program that a user would run instead: it prints one JSON line per seed with `train_seconds` (inside its
training steps, up to its goal) and `accuracy` (on the test set). Nothing else about a peer is known here, except its
network: `network` and `convolutions` describe it, so that ours can be measured at the same sizes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from hwr_jax.benchmarks import torch_peer
from hwr_jax.core import files
from hwr_jax.core.errors import DataError


class Peer(NamedTuple):
    """How to call a peer program."""

    command: tuple[str, ...]  # file in the peers' folder, then arguments; {seed} is filled in
    needs: str  # library that it imports
    environment: dict[str, str]  # variables to set


PEERS = {
    "pytorch-fast": Peer(("pytorch_peers.py", "--recipe=fast", "--seed={seed}"), "torch", {}),
    "pytorch-example": Peer(("pytorch_peers.py", "--recipe=example", "--seed={seed}"), "torch", {}),
    "flax-example": Peer(("flax_peer.py", "--seed={seed}"), "flax", {}),
    "keras-example-jax": Peer(("keras_peer.py",), "keras", {"KERAS_BACKEND": "jax"}),
}


def network(config: ConfigDict) -> ConfigDict:
    """Returns the config with the network of the peers' recipe 'fast' in place of its own."""
    own = config.copy_and_resolve_references()
    own.model.update(
        name="cnn", features=(24, 32), kernels_px=(5, 3), strides_px=(1, 1), pools=(True, True), padding="valid",
        dense=256, norm="none", activation="relu",
    )  # fmt: skip
    own.frame.update(deskew=False, centre=False, crop_px=0, side_px=0)
    return own


def convolutions() -> Iterator[tuple[str, tuple]]:
    """Yields each convolution of the peers' network: its name, B H W C of the images and h w C F of the kernel."""
    for name, (nchw, oihw) in torch_peer.CONVOLUTIONS.items():
        yield name, (tuple(nchw[i] for i in (0, 2, 3, 1)), tuple(oihw[i] for i in (2, 3, 1, 0)))


def missing(peer: Peer, folder: Path, python: str) -> str | None:
    """Returns why a peer cannot be run, in one sentence, or None if it can."""
    program = folder / peer.command[0]
    if not program.is_file():
        return f"{program} does not exist"
    return cannot_import(peer, python)


def cannot_import(peer: Peer, python: str) -> str | None:
    """Returns that a Python lacks the library that a peer imports, in one sentence, or None if it has it."""
    found = subprocess.run([python, "-c", f"import {peer.needs}"], capture_output=True, check=False)
    return None if found.returncode == 0 else f"{python} cannot import {peer.needs} (--peers_python names another)"


def run_peer(peer: Peer, folder: Path, python: str, seed: int) -> dict[str, Any]:
    """Runs a peer once; returns its line with `wall_seconds` of the whole process.

    Raises:
      DataError: it failed, or printed no result.
    """
    line = [python, *(part.replace("{seed}", str(seed)) for part in peer.command)]
    env = {**os.environ, **peer.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    done, wall_seconds = _timed(line, cwd=folder, env=env)
    results = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    if done.returncode or not results:
        raise _failed(f"the peer {' '.join(line)}", done)
    return {**results[-1], "wall_seconds": wall_seconds}


def torch_speed(folder: Path, python: str) -> dict[str, float]:
    """Runs `torch_peer.py`; returns PyTorch's seconds (p50) of inference and convolutions with the peers' network."""
    program = Path(__file__).with_name("torch_peer.py")
    # -P keeps this folder off the import path: its modules could hide those that the program imports.
    return run_peer(Peer(("-P", str(program), str(folder)), "torch", {}), folder, python, 0)["seconds"]


def run_main_job(config: str, *, seed: int, seeds: int, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Runs the main job in a fresh run folder; returns its summary with `wall_seconds` of the whole process.

    Raises:
      DataError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        flags = (f"--config={config}", f"--config.seed={seed}", f"--config.seeds={seeds}", f"--workdir={workdir}")
        done, wall_seconds = _timed([sys.executable, "-m", "hwr_jax.main", *flags, *more])
        if done.returncode:
            raise _failed("the main job", done)
        summary = files.read_json(workdir / "summary.json")
    return {**summary, "wall_seconds": wall_seconds}


def _timed(line: list[str], **options: Any) -> tuple[subprocess.CompletedProcess, float]:
    """Runs a process to its end; returns it with its wall seconds."""
    start = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, check=False, **options)
    return done, time.perf_counter() - start


def _failed(what: str, done: subprocess.CompletedProcess) -> DataError:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return DataError(f"{what} ended with code {done.returncode}: {last}")


def alternate(ours: Callable[[int], dict], theirs: Callable[[int], dict], pairs: int) -> dict[str, Any]:
    """Runs both in turns, with seeds 0 to pairs - 1, and compares the seconds inside the training steps.

    Returns:
      `compare` of those seconds, the seconds of the whole processes, and the accuracies [pairs].
    """
    both = [(ours(seed), theirs(seed)) for seed in range(pairs)]
    return {
        **compare([us["train_seconds"] for us, _ in both], [them["train_seconds"] for _, them in both]),
        "ours_wall_s": [us["wall_seconds"] for us, _ in both],
        "theirs_wall_s": [them["wall_seconds"] for _, them in both],
        "ours_compile_s": [us["compile_seconds"] for us, _ in both],
        "ours_accuracy": [us["test"]["accuracy"]["mean"] for us, _ in both],
        "theirs_accuracy": [them["accuracy"] for _, them in both],
    }


def compare(ours_s: list[float], theirs_s: list[float]) -> dict[str, Any]:
    """Returns pairs, ours_s and theirs_s [pairs], and ratio: median, lowest and highest of ours / theirs."""
    ratios = [us / them for us, them in zip(ours_s, theirs_s, strict=True)]
    ratio = {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    return {"pairs": len(ratios), "ours_s": ours_s, "theirs_s": theirs_s, "ratio": ratio}


def in_words(compared: dict[str, Any]) -> str:
    """Returns what `compare` found of us and PyTorch, in milliseconds."""
    ours_s, theirs_s = (statistics.median(compared[whose]) for whose in ("ours_s", "theirs_s"))
    ratio = compared["ratio"]
    return (
        f"{1e3 * ours_s:.2f} ms, PyTorch {1e3 * theirs_s:.2f} ms: "
        f"{ratio['median']:.2f} of its time ({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
    )
