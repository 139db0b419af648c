"""Measures the speed of a config on this machine: `python -m hwr_jax.benchmark --config=fast`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import config_flags

from hwr_jax.benchmarks.peers import PEERS
from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Measures what a config costs on this machine, part by part, and writes benchmark.json and figures after each part:

    limits       the best matrix product and memory copy, for comparison
    accuracy     the test accuracy that the config reaches, and the seconds inside its steps, over --seeds seeds
    training     images per second, compilation, FLOPs and their share of the best matrix product
    inference    latency p50 and p99, and images per second, for batches of 1, 32 and 1024
    scaling      training speed over batch size, width, number of seeds and number of examples
    convolution  forward and both gradients at two shapes, against XLA's own
    peers        the main job in turns with the programs in --peers_dir; without them it is skipped, with the reason
    pytorch      inference and convolutions (ours inside a loop, as in training) in turns with PyTorch's
    twin         training and inference of the config's own network in turns with the same network in PyTorch

    python -m hwr_jax.benchmark --config=fast --parts=training,inference
    python -m hwr_jax.benchmark --config=fast --peers_dir=peers --peers_python=/some/python
    python -m hwr_jax.benchmark --config=resnet --parts=twin --pairs=7 --peers_python=/some/python
"""
PARTS = ("limits", "accuracy", "training", "inference", "scaling", "convolution", "peers", "pytorch", "twin")

FLAGS = flags.Flags()
_CONFIG = flags.config(FLAGS)
_OUT = flags.out(FLAGS, "Folder of the results; default: runs/benchmark-NAME of the config.")
_PARTS = FLAGS.names("parts", list(PARTS), "Measure only these parts; default: all.", kind="PART,...")
_SEEDS = FLAGS.integer("seeds", 30, "Number of seeds that the part accuracy trains.", at_least=1)
_PAIRS = FLAGS.integer("pairs", 5, "How often hwr_jax and a peer program take turns.", at_least=1)
_PEERS_DIR = FLAGS.string(
    "peers_dir", None, "Folder of the peer programs; default: skip the part peers.", kind="FOLDER"
)
_PEERS_PYTHON = FLAGS.string(
    "peers_python", sys.executable, "The Python that has the packages of the peers; default: this one.", kind="FILE"
)
_PEERS = FLAGS.names("peers", ["pytorch-fast"], f"Which peer programs: {', '.join(PEERS)}.", kind="PEER,...")
_DATA_DIR = flags.data_dir(FLAGS)


def main() -> int:
    """Runs the parts; returns the exit code."""
    _check("parts", _PARTS.value, PARTS)
    _check("peers", _PEERS.value, PEERS)
    from hwr_jax.benchmarks import figures, parts
    from hwr_jax.benchmarks.plan import Plan
    from hwr_jax.cli import console
    from hwr_jax.config import check
    from hwr_jax.core import files
    from hwr_jax.data import cache, configured
    from hwr_jax.steps import compile_cache
    from hwr_jax.workdir import machine

    path, config = config_flags.get_config_filename(FLAGS["config"]), _CONFIG.value
    check.check(config)
    folder = command.folder("out", _OUT.value, f"runs/benchmark-{command.run_name(path)}")
    folder.mkdir(parents=True, exist_ok=True)
    screen = console.make_console()
    compile_cache.cache_compilations(cache.default_cache_dir())
    dataset = configured.load(config, _DATA_DIR.value, screen.print)
    plan = Plan(
        path=path,
        overrides=_overrides(),
        config=config,
        dataset=dataset,
        seeds=_SEEDS.value,
        pairs=_PAIRS.value,
        peers=tuple(_PEERS.value),
        peers_dir=Path(_PEERS_DIR.value) if _PEERS_DIR.value else None,
        peers_python=_PEERS_PYTHON.value,
        log=screen.print,
    )
    results = _earlier(folder / "benchmark.json", path, machine.facts(), screen.print)
    for part in (p for p in PARTS if p in _PARTS.value):
        screen.print(f"\n{part}", style="bold")
        found = parts.PARTS[part](plan)
        if found is not None:
            if part == "peers":  # keeps the peers of an earlier call
                found = results["parts"].get(part, {}) | found
            results["parts"][part] = found
            files.write_json(folder / "benchmark.json", results)
    figures.speed(folder, results["parts"], title=f"{path} on {', '.join(results['machine']['devices'])}")
    screen.print(f"\nResults: {folder / 'benchmark.json'}")
    return errors.DONE


def _check(flag: str, values: list[str], allowed) -> None:
    for value in values:
        if value not in allowed:
            raise errors.ConfigError(f"--{flag}={value} is not known: use some of {', '.join(allowed)}")


def _earlier(path: Path, config: str, machine: dict, log: Callable[[str], None]) -> dict[str, Any]:
    """Returns the results of an earlier call for the same config on the same machine, or empty ones.

    Results of another config or machine are kept under another name.
    """
    fresh = {"config": config, "machine": machine, "parts": {}}
    if path.is_file():
        content = path.read_bytes()
        earlier = json.loads(content)
        if all(earlier.get(key) == fresh[key] for key in ("config", "machine")):
            return earlier
        kept = path.with_name(f"benchmark-{hashlib.sha256(content).hexdigest()[:8]}.json")
        path.rename(kept)
        log(f"{path} was measured with another config, machine or version: it is kept as {kept.name}")
    return fresh


def _overrides() -> tuple[str, ...]:
    """The overrides of the command line, for the processes that run the main job."""
    given = config_flags.get_override_values(FLAGS["config"])
    return tuple(f"--config.{key}={value}" for key, value in given.items() if key not in ("seed", "seeds"))


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
