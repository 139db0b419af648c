"""Makes the model that comes with the package, hwr_jax/pretrained, from configs/robust.py and configs/release.py.

    HWR_MNIST_DIR=... python scripts/pretrain.py    # about an hour on two cores; resumes what was interrupted
    python scripts/pretrain.py --card               # only writes MODEL_CARD.md again, from the records

It trains runs/robust and from it runs/release, divides the logits by the temperature at which the validation images
are most probable (Guo et al. 2017; the output layer takes it, so nothing else has to know), and writes the weights
beside the records of the run. It checks what it wrote: both programs that read it agree on every test image.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

import hwr_jax
from hwr_jax.core.types import Arrays
from hwr_jax.data import negatives
from hwr_jax.inference import corruption_scores, evaluation, light, predictor
from hwr_jax.inference.export import sections
from hwr_jax.inference.reader import Reader
from hwr_jax.tasks import metrics, selective
from hwr_jax.workdir import weights

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "hwr_jax" / "pretrained"
LIMIT_BYTES = 2_000_000
SURE = 0.9
WORSE = 2000  # test images that are made worse, 75 times each
SAME = 1e-5  # largest difference of a probability between NumPy and JAX


def main() -> None:
    """Trains, calibrates, writes and checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--card", action="store_true", help="only write MODEL_CARD.md again, from the records")
    args = parser.parse_args()
    if args.card:
        (args.out / "MODEL_CARD.md").write_text(card(args.out))
        return
    hwr_jax.train("configs/robust.py", "runs/robust")
    run = hwr_jax.train("configs/release.py", "runs/release")
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
            "rejected": rejected(ours, label),
        },
        "largest_difference_of_numpy_and_jax": difference,
        "bytes": size,
    }
    found["corruptions"] = corruption_scores.score(written, Arrays(test[:WORSE], label[:WORSE]), log=print)
    found["no_digit"] = accepted_though_none(written, np.asarray(digits.test.image[..., 0]))
    (args.out / "release.json").write_text(json.dumps(found, indent=1) + "\n")
    shutil.copyfile(ROOT / "LICENSE", args.out / "LICENSE")
    (args.out / "MODEL_CARD.md").write_text(card(args.out))
    print(json.dumps(found, indent=1))
    if difference > SAME or size > LIMIT_BYTES:
        sys.exit(f"not usable: NumPy and JAX differ by {difference:.1e} (at most {SAME}), {size:,} bytes")


def accepted_though_none(model: Reader, glyphs: np.ndarray) -> dict[str, float]:
    """Returns the share of drawn images of no digit, of another seed than in training, that are read as a digit with a
    confidence above SURE; of all, and of each kind."""
    images, kind = negatives.draw_kinds(2000, glyphs, seed=1)
    prob = model.predict(images)[:, : len(model.classes) - 1].max(1)
    shares = {name: float(np.mean(prob[kind == i] > SURE)) for i, name in enumerate(negatives.KINDS)}
    return {"all": float(np.mean(prob > SURE)), **shares}


def card(folder: Path) -> str:
    """Returns MODEL_CARD.md, with the numbers of the release whose records are in the folder."""
    names = ("config", "environment", "summary", "release")
    config, environment, summary, found = (json.loads((folder / f"{name}.json").read_text()) for name in names)
    test, worse, none = found["test"], found["corruptions"], found["no_digit"]
    families = "\n".join(f"| {name} | {100 * value:.1f} % |" for name, value in worse["families"].items())
    data, model = config["data"], config["model"]
    return f"""# The digit reader that comes with hwr_jax

A residual network ({", ".join(map(str, model["features"]))} channels) that reads one handwritten digit, 0 to 9, in an
image of 28x28 pixels, and has an eleventh class, `none`, for what is no digit. `hwr scan` finds the digits of a page
and gives them to it one by one.

    hwr scan photo.jpg
    hwr predict digit.png
    python -c "import hwr_jax; print(hwr_jax.scan('photo.jpg').text)"

## Made from
MNIST's training set without {data["validation_examples"]:,} images for validation, {data["drawn"]:,} digits drawn
stroke by stroke, and {data["negatives"]:,} drawn images that are no digit; all changed anew in each epoch (another
hand, pen, sheet, light, camera). No picture of anybody else. `configs/robust.py` is the recipe, `configs/release.py`
the last {config["epochs"]} epochs; config.json has their values, environment.json what they ran on, summary.json what
training reported. scripts/pretrain.py makes it anew.
The logits are divided by a temperature of {found["temperature"]}, chosen on the validation images.

## How well it reads (release.json)
| on | |
|---|---|
| MNIST's test set, 10,000 images | {100 * test["accuracy"]:.2f} % right |
| the same, calibration error | {100 * test["ece"]:.2f} % |
| the same, share to reject so that 99.9 % of the rest are right | {100 * test["rejected"]["0.999"]["share"]:.2f} % |
| the first {WORSE:,} of them, made worse in 15 ways and 5 strengths | {100 * worse["mean"]:.1f} % right |
| images that are no digit, drawn as in training | {100 * none["all"]:.1f} % taken for a digit, confidence > {SURE} |

| made worse by | right |
|---|---|
{families}

## Class by class

{sections.classes(summary)}

What is confused most often:

{sections.mistakes(summary)}

## What it must not do alone
It knows nothing of amounts, grades, addresses or people, and it is sometimes wrong with high confidence: a 1 with a
long flag and a 7 without a bar are nearly the same. Let a person check what matters: `--reject_below=0.99` marks what
is unsure with `?`. See docs/privacy.md.

## The data

{sections.data("mnist")}

## What the training cost

Of `configs/release.py` alone: what `configs/robust.py` took before it is not in these records.

{sections.cost(summary, environment, None)}

## Licence
MIT, as the code (LICENSE).
"""


def best_temperature(prob: np.ndarray, label: np.ndarray) -> float:
    """Returns what to divide the logits by, so that the labels int [N] are most probable under prob [N, K]."""
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(prob, 1e-30)).astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, 1) - scaled[np.arange(len(label)), label]))

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def rejected(prob: np.ndarray, label: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns, for each accuracy, the share to reject and the confidence to accept from."""
    found = {str(a): selective.rejected_at(prob.max(1), prob.argmax(1) == label, a) for a in evaluation.ACCURACIES}
    return {accuracy: {"share": share, "from": level} for accuracy, (share, level) in found.items()}


def scaled(params: dict, by: float) -> dict:
    """Returns the weights with an output layer whose logits are `by` times as large."""
    last = sorted(name for name in params if name.startswith("Dense_"))[-1]
    return {**params, last: {name: np.asarray(x) * np.float32(by) for name, x in params[last].items()}}


if __name__ == "__main__":
    main()
