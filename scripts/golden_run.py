"""Makes the run folder of this version that later versions must be able to read: tests/fixtures/golden/VERSION.

    python scripts/golden_run.py

A tiny network with one seed, without what no reader needs and what only describes this machine. Beside it lie the
probabilities of the first 16 test images, for tests/workdir/test_golden.py.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import hwr_jax
from hwr_jax import data
from hwr_jax.inference import predictor
from hwr_jax.workdir import checkpoint

ROOT = Path(__file__).parent.parent
KEPT = ("config.json", "environment.json", "metrics.jsonl", "summary.json", "manifests", "checkpoints")
FLAGS = ("model.features=(4, 8)", "model.dense=16", "model.norm=batch", "average.name=ema", "checkpoint.keep=1")
THIS_MACHINE = ("platform", "processor", "cpu_count", "command", "started", "xla_flags")


def main() -> int:
    """Trains and copies; returns the exit code."""
    golden = ROOT / "tests" / "fixtures" / "golden" / hwr_jax.__version__
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        flags = [f"--config.{flag}" for flag in FLAGS]
        line = [sys.executable, "-m", "hwr_jax.main", "--config=configs/digits.py:smoke", f"--workdir={run}", *flags]
        subprocess.run(line, check=True, cwd=ROOT)
        shutil.rmtree(golden, ignore_errors=True)
        golden.mkdir(parents=True)
        for name in KEPT:
            copy = shutil.copytree if (run / name).is_dir() else shutil.copy
            copy(run / name, golden / name)
    for note in golden.rglob("commit_success.txt"):  # its text names the folder
        note.write_text("Checkpoint commit was successful.")
    for manifest in (golden / "manifests").iterdir():
        checkpoint.write_manifest(golden / "checkpoints" / manifest.stem, manifest)
    path = golden / "environment.json"
    environment = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in environment.items() if k not in THIS_MACHINE}, indent=2) + "\n")
    test = data.load("digits").test
    np.save(golden / "probabilities.npy", predictor.load(golden).predict(np.asarray(test.image[:16])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
