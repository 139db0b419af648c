"""Makes the model that comes with the package, hwr_jax/pretrained, from configs/robust.py.

    HWR_MNIST_DIR=... python scripts/pretrain.py                      # trains it: about half an hour on two cores
    HWR_MNIST_DIR=... python scripts/pretrain.py --workdir=runs/robust  # of a run that is trained, or partly trained

It trains, divides the logits by the temperature at which the validation images are most probable (Guo et al. 2017; the
output layer takes it, so nothing else has to know), and writes the weights beside the records of the run. It checks
what it wrote: both programs that read it agree on every test image.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

import hwr_jax
from hwr_jax.inference import evaluation, light, predictor
from hwr_jax.tasks import metrics
from hwr_jax.workdir import weights

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "hwr_jax" / "pretrained"
LIMIT_BYTES = 2_000_000
SAME = 1e-5  # largest difference of a probability between NumPy and JAX


def main() -> None:
    """Trains, calibrates, writes and checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/robust.py")
    parser.add_argument("--workdir", default="runs/robust")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    run = hwr_jax.train(args.config, args.workdir)
    model = predictor.load(run.folder)
    digits = hwr_jax.data.load("mnist")
    temperature = best_temperature(
        model.predict(np.asarray(digits.validation.image)), np.asarray(digits.validation.label)
    )
    params = scaled(model.params, 1 / temperature)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "environment.json", "summary.json"):
        shutil.copyfile(run.folder / name, args.out / name)
    weights.write(args.out, params, model.model_state)
    written = light.load(args.out)
    test, label = np.asarray(digits.test.image), np.asarray(digits.test.label)
    ours, theirs = written.predict(test), predictor.load(args.out).predict(test)
    difference = float(np.abs(ours - theirs).max())
    size = sum(path.stat().st_size for path in args.out.iterdir() if path.is_file())
    found = {
        "temperature": round(temperature, 4),
        "test": {
            "accuracy": float(np.mean(ours.argmax(1) == label)),
            "ece": metrics.expected_calibration_error(ours.max(1), ours.argmax(1) == label),
            "mean_of_seeds": evaluation.ensemble(digits.test, model.outputs(digits.test)),
        },
        "largest_difference_of_numpy_and_jax": difference,
        "bytes": size,
    }
    (args.out / "release.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    if difference > SAME or size > LIMIT_BYTES:
        sys.exit(f"not usable: NumPy and JAX differ by {difference:.1e} (at most {SAME}), {size:,} bytes")


def best_temperature(prob: np.ndarray, label: np.ndarray) -> float:
    """Returns what to divide the logits by, so that the labels int [N] are most probable under prob [N, K]."""
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(prob, 1e-30)).astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(label)), label]))

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def scaled(params: dict, by: float) -> dict:
    """Returns the weights with an output layer whose logits are `by` times as large."""
    last = sorted(name for name in params if name.startswith("Dense_"))[-1]
    return {**params, last: {name: np.asarray(x) * np.float32(by) for name, x in params[last].items()}}


if __name__ == "__main__":
    main()
