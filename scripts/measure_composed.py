"""Measures how well and how fast pages are read that data/pages.py composes of MNIST's test digits.

    HWR_MNIST_DIR=FOLDER python scripts/measure_composed.py [--pages=150] [--hundreds=5] [--turns=5] [--seed=0]

First the four kinds of page of `KINDS`: `--pages` pages of each, with four lines or fewer of one to nine digits, read
by the model of the package; and as many clean pages of one to 25 digits in a line. A line counts if all of its digits
are read, in their order. Then the times:

- a page of a hundred digits in ten lines, a JPEG of 1200x1600 pixels, in a process that has read one before: the median
  over `--hundreds` pages of each kind and `--turns` turns, in which the kinds alternate, and the CPU time;
- a picture of one digit, 28x28, from the array of its grey values to its class;
- `python -m hwr_jax.scan` of such a page, each time in a new process.

The machine should be idle: its load is printed before and after.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hwr_jax import data
from hwr_jax.core import files
from hwr_jax.core.types import Arrays
from hwr_jax.data import pages
from hwr_jax.inference import packaged, page_scores, scan
from hwr_jax.inference.reader import Reader
from hwr_jax.pictures import normalise

KINDS: dict[str, dict[str, Any]] = {
    "clean": {},
    "ruled": {"paper": "ruled"},
    "shadowed and tilted": {"shadow": 0.4, "tilt_deg": 4.0},
    "on a desk, in perspective": {"desk": True, "tilt_deg": 6.0},
}
LINES, DIGITS, LONG = (1, 4), (1, 9), (1, 25)  # lines of a page, and digits of a line
LONG_LINES = "clean, long lines"
DIGIT_PX = (24.0, 48.0)
HUNDRED = [10] * 10  # digits of each line
SIZE = (1200, 1600)  # width and height of the picture of a hundred digits, in pixels
LARGE_PX = 60.0  # its digits, before the picture gets that size
JPEG = 90  # quality
COLD = 5  # processes


def composed(test: Arrays, kind: str, place: list[int], lengths: list[int], **options: Any) -> pages.Composed:
    """Returns the page at a place of the random numbers, with digits of the test set, none of them twice."""
    rng = np.random.default_rng([*place, list(KINDS).index(kind)])
    chosen = rng.choice(len(test.label), sum(lengths), replace=False)
    glyphs, labels = np.asarray(test.image)[chosen, :, :, 0], np.asarray(test.label)[chosen]
    return pages.compose(rng, glyphs, labels, lengths, **KINDS[kind], **options)


def write_pages(folder: Path, test: Arrays, count: int, seed: int) -> None:
    """Writes pages of each kind with their truth."""
    truth = []
    kinds = [*((kind, kind, DIGITS) for kind in KINDS), (LONG_LINES, "clean", LONG)]
    for i, (medium, kind, digits) in enumerate(kinds):
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            lengths = rng.integers(*digits, rng.integers(*LINES, endpoint=True), endpoint=True).tolist()
            page = composed(test, kind, [seed, number, digits[1]], lengths, digit_px=rng.uniform(*DIGIT_PX))
            Image.fromarray(page.grey).save(folder / f"{i}-{number}.png")
            truth.append({"file": f"{i}-{number}.png", "lines": page.lines, "medium": medium})
    files.write_json(folder / page_scores.TRUTH, truth)


def hundred(test: Arrays, kind: str, seed: int, number: int) -> bytes:
    """Returns the JPEG of a page of a hundred digits."""
    page = composed(test, kind, [seed, number, 1], HUNDRED, digit_px=LARGE_PX, paper_px=SIZE)
    picture, file = Image.fromarray(page.grey), io.BytesIO()
    picture.thumbnail(SIZE, Image.Resampling.BOX)  # what is around the paper is in the picture too
    picture.save(file, "JPEG", quality=JPEG)
    return file.getvalue()


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=150, help="of each kind")
    parser.add_argument("--hundreds", type=int, default=5, help="pages of a hundred digits of each kind")
    parser.add_argument("--turns", type=int, default=5, help="how often each of them is read")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    test, model = data.load("mnist", log=lambda line: print(line, file=sys.stderr)).test, packaged.model()
    with tempfile.TemporaryDirectory() as folder:
        write_pages(Path(folder), test, flags.pages, flags.seed)
        found = page_scores.score(model, Path(folder), log=print)
        for kind in (*KINDS, LONG_LINES):
            print(_scores(kind, found["by_medium"][kind]))
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        hundreds = {kind: [hundred(test, kind, flags.seed, i) for i in range(flags.hundreds)] for kind in KINDS}
        for line in times(model, hundreds, flags.turns):
            print(line)
        print(f"a digit: {digit_ms(model, test):.1f} ms")
        path = Path(folder) / "hundred.jpg"
        path.write_bytes(hundreds["clean"][0])
        print(f"hwr scan in a new process: {1000 * cold_s(path):.0f} ms, the median of {COLD}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    return 0


def _scores(kind: str, scores: dict) -> str:
    right = round(scores["exact_lines"] * scores["lines"])
    return (
        f"{kind}: {scores['exact_lines']:.1%} of lines exact ({right} of {scores['lines']}), {scores['cer']:.2%} of "
        f"{scores['characters']} characters wrong, {scores['exact_pages']:.1%} of {scores['pages']} pages exact"
    )


def times(model: Reader, hundreds: dict[str, list[bytes]], turns: int) -> list[str]:
    """Returns for each kind of page how long it takes to read one."""
    for some in hundreds.values():
        scan.scan(model, some[0])  # loads what is loaded once
    wall, cpu = {kind: [] for kind in hundreds}, {kind: [] for kind in hundreds}
    for _ in range(turns):
        for number in range(min(map(len, hundreds.values()))):
            for kind, some in hundreds.items():
                start, used = time.perf_counter(), time.process_time()
                scan.scan(model, some[number])
                wall[kind].append(1000 * (time.perf_counter() - start))
                cpu[kind].append(1000 * (time.process_time() - used))
    return [_time(kind, wall[kind], cpu[kind]) for kind in hundreds]


def _time(kind: str, wall: list[float], cpu: list[float]) -> str:
    spread = f"{np.median(wall):.0f} ms ({min(wall):.0f} to {max(wall):.0f})"
    return f"a page of 100 digits, {kind}: {spread}, {np.median(cpu):.0f} ms of CPU"


def digit_ms(model: Reader, test: Arrays, count: int = 200) -> float:
    """Returns the median time from the grey values of one digit, dark on light, to its class."""
    found = []
    for image in 255 - np.asarray(test.image)[:count, :, :, 0]:
        start = time.perf_counter()
        model.predict(normalise.normalised(image).image[None])
        found.append(1000 * (time.perf_counter() - start))
    return float(np.median(found))


def cold_s(path: Path) -> float:
    """Returns the median seconds of `scan` as a command."""
    found = []
    for _ in range(COLD):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "hwr_jax.scan", path], check=True, capture_output=True)
        found.append(time.perf_counter() - start)
    return float(np.median(found))


if __name__ == "__main__":
    sys.exit(main())
