"""Measures hwr-read beside hwr_jax: from an empty environment to the first page read, and whether both read the same.

    python scripts/slim_table.py [--pages=FOLDER,FOLDER] [--python=3.11] [--only=hwr-read,hwr_jax]

Builds both wheels, and installs each into a new environment with uv: first with an empty cache (all packages are
downloaded), then with a full one. Then it reads a composed page, without the network: where the system lets a program
have a network of its own (`unshare -rn`), with none; else with a proxy that is not there. Prints a table in Markdown.
With --pages, both read every picture in these folders, and the pages that differ are named; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"hwr-read": ROOT / "reader", "hwr_jax": ROOT}  # name -> the folder of its pyproject.toml
COMMANDS = {"hwr-read": ["bin/hwr-read"], "hwr_jax": ["bin/hwr", "scan"]}
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
TIMES = 7  # that the page is read again, by each in turns; the median counts


class Measured(NamedTuple):
    """One distribution in an environment of its own."""

    name: str
    wheel_mb: float
    packages: int
    environment_mb: float  # all files, with the byte code of what was imported
    cold_s: float  # to make the environment and install everything, with an empty cache
    warm_s: float  # the same with a full one
    first_s: float  # to read a page for the first time, which also compiles the byte code
    again_s: float  # to read it once more
    again_cpu_s: float  # the same in seconds of one core


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", default="", help="folders of pictures that both read, separated by commas")
    parser.add_argument("--python", default=sys.executable, help="the Python of the environments, as uv names it")
    parser.add_argument("--only", default=",".join(SOURCES), help="which distributions are measured")
    flags = parser.parse_args()
    names = flags.only.split(",")
    if unknown := set(names) - set(SOURCES):
        parser.error(f"--only={unknown.pop()} is not known: use some of {', '.join(SOURCES)}")
    if shutil.which("uv") is None:
        parser.error("uv is not on the PATH: `pip install uv`")
    with tempfile.TemporaryDirectory(prefix="slim_table.") as scratch:
        folder = Path(scratch)
        page = composed(folder / "page.png")
        wheels = {name: build(name, folder / "wheels" / name) for name in names}
        print(f"Reading without the network: {' '.join(offline()) or 'a proxy that is not there'}", file=sys.stderr)
        installed = {name: installations(name, wheels[name], folder, flags.python) for name in names}
        read_in = in_turns(names, page, folder)
        print(table([measured(name, wheels[name], folder, installed[name], read_in[name]) for name in names]))
        folders = [path for path in flags.pages.split(",") if path]
        return compare(folder, folders) if folders and len(names) > 1 else 0


def composed(path: Path) -> Path:
    """Writes a page of 20 digits, composed from the data set that comes with scikit-learn, and returns its path."""
    import numpy as np
    from PIL import Image

    from hwr_jax import data
    from hwr_jax.data import pages

    test = data.load("digits", log=lambda line: None).test
    glyphs, labels = np.asarray(test.image[:20, ..., 0]), np.asarray(test.label[:20])
    page = pages.compose(np.random.default_rng(0), glyphs, labels, [5, 5, 5, 5], paper="ruled", desk=True)
    Image.fromarray(page.grey).save(path)
    return path


def build(name: str, folder: Path) -> Path:
    """Builds a wheel and returns its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={folder}"]
    subprocess.run(command, cwd=SOURCES[name], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def installations(name: str, wheel: Path, folder: Path, python: str) -> tuple[float, float]:
    """Makes the environment folder/NAME twice; returns the seconds with an empty cache, and with a full one."""
    place, cache = folder / name, folder / f"{name}-cache"
    cold_s = install(place, cache, wheel, python)
    shutil.rmtree(place)
    warm_s = install(place, cache, wheel, python)
    shutil.rmtree(cache)
    return cold_s, warm_s


def in_turns(names: list[str], page: Path, folder: Path) -> dict[str, tuple[float, float, float]]:
    """Reads the page with every program, once and then in turns; returns first, median, and median CPU seconds."""
    first = {name: read(name, folder / name, page) for name in names}
    again: dict[str, list[Read]] = {name: [] for name in names}
    for _ in range(TIMES):
        for name in names:
            again[name].append(read(name, folder / name, page))
    every = [one.pages for found in again.values() for one in found]
    assert all(pages == first[names[0]].pages for pages in every), "the page is not read the same each time"
    return {
        name: (first[name].seconds, statistics.median(one.seconds for one in again[name]),
               statistics.median(one.cpu_s for one in again[name]))
        for name in names
    }  # fmt: skip


def measured(
    name: str, wheel: Path, folder: Path, installed: tuple[float, float], read_in: tuple[float, float, float]
) -> Measured:
    """The row of a distribution."""
    place = folder / name
    listed = subprocess.run(["uv", "pip", "list", f"--python={place}"], capture_output=True, text=True, check=True)
    packages = len(listed.stdout.splitlines()) - 2
    return Measured(name, megabytes([wheel]), packages, megabytes(place.rglob("*")), *installed, *read_in)


def install(place: Path, cache: Path, wheel: Path, python: str) -> float:
    """Makes an environment and installs a wheel and what it needs; returns the seconds."""
    env = {**os.environ, "UV_CACHE_DIR": str(cache)}
    start = time.perf_counter()
    subprocess.run(["uv", "venv", "--quiet", f"--python={python}", str(place)], env=env, check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", f"--python={place}", str(wheel)], env=env, check=True)
    return time.perf_counter() - start


def offline() -> list[str]:
    """What a command begins with, so that it has no network."""
    line = ["unshare", "-rn"]
    can = shutil.which("unshare") and subprocess.run([*line, "true"], capture_output=True).returncode == 0
    return line if can else []


class Read(NamedTuple):
    """Pictures that were read."""

    seconds: float
    cpu_s: float
    pages: list[Any]  # JSON, without the times


def read(name: str, place: Path, *pictures: Path | str) -> Read:
    """Reads pictures with the program of an environment."""
    program, *verb = COMMANDS[name]
    command = [*offline(), str(place / program), *verb, "--format=json", *map(str, pictures)]
    own = ("HWR_", "PYTHON", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(own)} | NOWHERE
    start, cpu = time.perf_counter(), of_children()
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=env)
    seconds, cpu_s = time.perf_counter() - start, of_children() - cpu
    if not done.stdout:
        raise SystemExit(f"{name} does not read: {done.stderr}")
    return Read(seconds, cpu_s, [{k: v for k, v in page.items() if k != "ms"} for page in json.loads(done.stdout)])


def of_children() -> float:
    """The CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def megabytes(paths: Any) -> float:
    """The size of all files, in 10^6 bytes."""
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink()) / 1e6


def table(rows: list[Measured]) -> str:
    """The table in Markdown."""
    lines = [
        "| | wheel | packages | environment | installed, cold | installed, warm | first page | again | CPU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"`{row.name}`", f"{row.wheel_mb:.1f} MB", str(row.packages), f"{row.environment_mb:,.0f} MB"]
        cells += [f"{row.cold_s:.1f} s", f"{row.warm_s:.1f} s", f"{row.first_s:.2f} s", f"{row.again_s:.2f} s"]
        cells.append(f"{row.again_cpu_s:.2f} s")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(folder: Path, pictures: list[str]) -> int:
    """Reads all pictures with both programs; prints how many pages are the same; returns the exit code."""
    resolved = [str(Path(path).resolve()) for path in pictures]
    of_slim, of_full = (read(name, folder / name, *resolved) for name in SOURCES)
    slim, full = of_slim.pages, of_full.pages
    different = [a["image"] for a, b in zip(slim, full, strict=True) if a != b]
    texts = sum(a["text"] == b["text"] for a, b in zip(slim, full, strict=True))
    same = len(full) - len(different)
    print(f"\n{len(full)} pages: {texts} with the same text, {same} with the same JSON (but for the time)")
    print(f"hwr-read takes {of_slim.cpu_s:.1f} CPU seconds for all, hwr scan {of_full.cpu_s:.1f}")
    for name in different:
        print(f"different: {name}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
