"""Measures training from a stream: its memory over a set of ten million images, and its speed beside that from memory.

    python scripts/measure_stream.py [--config=configs/cnn.py] [--examples=10000000] [--steps=4000]

The ten million images are computed when they are read (scikit-learn's digits, shifted by the number of the image).
Speed is measured on 50,000 of them, alternating between the device's memory and the stream. Prints a line of JSON.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from hwr_jax import data
from hwr_jax.config import check, configs
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data.rows import Rows
from hwr_jax.steps.run import compile_training, make_run
from hwr_jax.training import feeding

ROOT = Path(__file__).parent.parent
TURNS = 5
LITTLE = 50_000


class Made:
    """Images uint8 [N, 28, 28, 1] that are functions of their number."""

    def __init__(self, examples: int, glyphs: np.ndarray):
        self.shape, self.dtype, self._glyphs = (examples, 28, 28, 1), np.dtype(np.uint8), glyphs

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        glyphs = self._glyphs[rows % len(self._glyphs)]
        down, right = rows // 7 % 5 - 2, rows // 35 % 5 - 2
        y, x = (np.arange(28) - shift[:, None] for shift in (down, right))
        return glyphs[np.arange(len(rows))[:, None, None], y[:, :, None] % 28, x[:, None, :] % 28]


def dataset(examples: int) -> Dataset:
    """Returns a data set of `examples` computed images, unread."""
    digits = data.load("digits")
    glyphs = np.asarray(digits.train.image)
    label = np.asarray(digits.train.label)[np.arange(examples) % len(glyphs)]
    return digits._replace(train=Arrays(Rows(Made(examples, glyphs), np.arange(examples)), label))


def resident_mb() -> float:
    """Returns the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def trained(config, whole: Dataset, *, steps: int, every: int = 0) -> tuple[float, list[float]]:
    """Trains `steps` of the first epoch; returns images per second, and the memory after each `every` steps."""
    run = make_run(config, whole, devices=1)
    programs, _ = compile_training(run)
    state = programs.init(run.seed_array())
    train = feeding.make(run, programs)(programs.order(*run.order_arguments(0)), 0)
    held, count = [], config.steps_per_dispatch
    state = train(state, count)
    np.asarray(state.totals.loss)
    start = time.perf_counter()
    for done in range(count, steps, count):
        np.asarray(state.totals.loss)
        if every and done % every == 0:
            held.append(resident_mb())
        state = train(state, count)
    np.asarray(state.totals.loss)
    return (steps - count) * config.batch_size / (time.perf_counter() - start), held


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default=str(ROOT / "configs" / "cnn.py"))
    parser.add_argument("--examples", type=int, default=10_000_000)
    parser.add_argument("--steps", type=int, default=4_000)
    args = parser.parse_args()
    config = configs.load(args.config, {"data.stream": True, "seeds": 1})
    check.check(config)
    memory = configs.load(args.config, {"seeds": 1})
    little = dataset(LITTLE)
    held_whole = little._replace(train=Arrays(little.train.image[:], little.train.label))
    steps = min(args.steps, LITTLE // config.batch_size) // config.steps_per_dispatch * config.steps_per_dispatch
    turns = [
        (trained(config, little, steps=steps)[0], trained(memory, held_whole, steps=steps)[0]) for _ in range(TURNS)
    ]
    ratios = sorted(from_memory / streamed for streamed, from_memory in turns)
    speed, held = trained(config, dataset(args.examples), steps=args.steps, every=args.steps // 20)
    found = {
        "examples": args.examples,
        "images_read": args.steps * config.batch_size,
        "resident_mb": {"first": held[0], "lowest": min(held), "highest": max(held), "last": held[-1]},
        "images_per_second": speed,
        "time_over_that_from_memory": {"median": statistics.median(ratios), "lowest": ratios[0], "highest": ratios[-1]},
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
