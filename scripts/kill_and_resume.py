"""Kills a run with SIGKILL at random moments, resumes it each time, and compares it with an uninterrupted one.

    python scripts/kill_and_resume.py --kills=20 --config=configs/digits.py --config.epochs=200 [ANY FLAG OF main]

Both runs must agree to the bit in their final checkpoint (every array), metrics.jsonl and predictions.npz. Prints one
JSON line, and exits with 1 if they differ.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Runs the comparison; returns 0 if the two runs are equal."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="number of kills")
    parser.add_argument("--config", default="configs/digits.py")
    parser.add_argument("--folder", default=None, help="folder for the two runs; default: a temporary folder")
    parser.add_argument("--longest_s", type=float, default=20.0, help="longest time from a start to a kill")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random times of the kills")
    arguments, more = parser.parse_known_args()
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="hwr_jax-kill-"))
    line = [sys.executable, "-m", "hwr_jax.main", f"--config={arguments.config}", "--config.data.fallback=none", *more]
    start = time.monotonic()
    subprocess.run([*line, f"--workdir={folder / 'whole'}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    killed, finished = kill_repeatedly(line, folder / "killed", arguments, random.Random(arguments.seed))
    differences = compare(folder / "whole", folder / "killed")
    result = {"config": arguments.config, "kills": killed, "finished": finished, "whole_seconds": round(seconds, 1)}
    print(json.dumps({**result, "differences": differences, "folder": str(folder)}))
    return 0 if finished and not differences and killed == arguments.kills else 1


def kill_repeatedly(line: list[str], workdir: Path, arguments: argparse.Namespace, moments: random.Random):
    """Starts the run and kills it `kills` times, then lets it finish. Returns (kills, finished)."""
    done = 0
    while True:
        process = subprocess.Popen([*line, f"--workdir={workdir}"], cwd=ROOT, stdout=subprocess.DEVNULL)
        if done == arguments.kills:
            return done, process.wait() == 0
        try:
            process.wait(timeout=moments.uniform(0.1, arguments.longest_s))
            print(f"the run finished before kill {done + 1}: make it longer", file=sys.stderr)
            return done, process.returncode == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
            print(f"kill {done}: at step {newest_step(workdir)}", file=sys.stderr)


def newest_step(workdir: Path) -> int | None:
    """Returns the newest step that has a manifest, or None."""
    steps = [int(p.stem) for p in (workdir / "manifests").glob("*.json")]
    return max(steps, default=None)


def compare(a: Path, b: Path) -> list[str]:
    """Returns the files and the arrays of the final checkpoint in which two finished runs differ."""
    differences = []
    if (a / "metrics.jsonl").read_bytes() != (b / "metrics.jsonl").read_bytes():
        differences.append("metrics.jsonl")
    with np.load(a / "predictions.npz") as x, np.load(b / "predictions.npz") as y:
        differences += [f"predictions.npz:{k}" for k in x.files if not np.array_equal(x[k], y[k])]
    return differences + compare_states(a, b)


def compare_states(a: Path, b: Path) -> list[str]:
    """Returns the names of the arrays in which the newest checkpoints of two runs differ."""
    import jax

    states = [last_state(folder) for folder in (a, b)]
    flat = [jax.tree_util.tree_flatten_with_path(state)[0] for state in states]
    pairs = zip(*flat, strict=True)
    return [jax.tree_util.keystr(path) for (path, x), (_, y) in pairs if not np.array_equal(bits(x), bits(y))]


def bits(array) -> np.ndarray:
    """Returns an array's content as bytes, so that NaN equals NaN, and 0 differs from -0."""
    import jax

    if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.ascontiguousarray(array).view(np.uint8)


def last_state(folder: Path):
    """Restores the whole of a run's newest checkpoint."""
    from hwr_jax.inference import predictor
    from hwr_jax.workdir import checkpoint

    like = predictor.open_run(folder)[0].state_shapes()
    with checkpoint.Checkpoints(folder, read_only=True) as checkpoints:
        step = checkpoints.newest(print)
        if step is None:
            raise SystemExit(f"{folder} has no checkpoint that verifies")
        return checkpoints.restore(step, like)


if __name__ == "__main__":
    sys.exit(main())
