"""Measures a trained model on a folder of real pictures of one digit each. hwr_jax.pictures preprocesses them.

    python scripts/measure_pictures.py --workdir=runs/cnn --pictures=FOLDER

FOLDER/ground_truth.json is a list of objects with `file`, `label` (0 to 9) and `medium` ("drawn on screen", "paper
photo or crop", ...). A picture that cannot be read counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

SCREEN = "drawn on screen"  # the medium that is no photograph and no scan

Predict = Callable[[np.ndarray], np.ndarray]  # uint8 [N, 28, 28, 1] -> probabilities float32 [N, 10]


class Reading(NamedTuple):
    """What became of one picture."""

    file: str
    medium: str
    label: int
    pred: int  # -1: the picture was refused
    prob: float  # of `pred`
    problem: str  # why it was refused, or ""


def main() -> int:
    """Print the accuracy over all, per medium and off the screen, then every wrong picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True, help="run folder of a model for the ten digits")
    parser.add_argument("--pictures", required=True, type=Path, help="folder with ground_truth.json")
    flags = parser.parse_args()
    readings = read_all(flags.pictures, load_predict(flags.workdir))
    print(report(readings))
    return 0


def load_predict(workdir: str) -> Predict:
    """The project's predictor of a finished run."""
    from hwr_jax.inference import predictor

    return predictor.load(workdir, log=lambda text: print(text, file=sys.stderr)).predict


def read_all(folder: Path, predict: Predict) -> list[Reading]:
    """Preprocess and classify every picture that ground_truth.json names."""
    from hwr_jax.core.errors import DataError
    from hwr_jax.pictures.normalise import digit_from_picture

    truth = json.loads((folder / "ground_truth.json").read_text(encoding="utf-8"))
    images, problems = [], []
    for entry in truth:
        try:
            images.append(digit_from_picture(folder / entry["file"]))
            problems.append("")
        except (DataError, OSError) as error:
            images.append(np.zeros((28, 28), np.uint8))
            problems.append(str(error))
    prob = np.asarray(predict(np.stack(images)[..., None]))
    return [
        Reading(
            e["file"], e["medium"], int(e["label"]), -1 if why else int(p.argmax()), 0.0 if why else float(p.max()), why
        )
        for e, p, why in zip(truth, prob, problems, strict=True)
    ]


def report(readings: list[Reading]) -> str:
    """The accuracies and the wrong pictures, one line each."""
    groups = {"all": readings}
    for medium in sorted({r.medium for r in readings}):
        groups[medium] = [r for r in readings if r.medium == medium]
    groups["not on a screen"] = [r for r in readings if r.medium != SCREEN]
    lines = [_accuracy(name, group) for name, group in groups.items() if group]
    wrong = [r for r in readings if r.pred != r.label]
    lines += [f"\n{len(wrong)} wrong:"] if wrong else []
    return "\n".join(lines + [_mistake(r) for r in sorted(wrong, key=lambda r: -r.prob)])


def _accuracy(name: str, group: list[Reading]) -> str:
    right = sum(r.pred == r.label for r in group)
    return f"{name:24} {right / len(group):6.1%}  {right} of {len(group)}"


def _mistake(reading: Reading) -> str:
    read = f"refused: {reading.problem}" if reading.pred < 0 else f"read as {reading.pred} ({reading.prob:.2f})"
    return f"  {reading.file}: {reading.label} {read}"


if __name__ == "__main__":
    sys.exit(main())
