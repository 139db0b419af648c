"""The records of a run: metrics.jsonl (deterministic numbers), timing.jsonl (seconds) and TensorBoard event files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import files
from hwr_jax.workdir import forms


def metrics_line(epoch: int, step: int, split: str, seeds: list[int], **per_seed: np.ndarray) -> dict[str, Any]:
    """Returns a line of metrics.jsonl: the mean over the seeds of each metric, and its values [S] under `per_seed`."""
    values = {name: [float(v) for v in array] for name, array in per_seed.items()}
    means = {name: float(np.mean(array)) for name, array in values.items()}
    return {"epoch": epoch, "step": step, "split": split, **means, "seeds": seeds, "per_seed": values}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the whole lines of metrics.jsonl, checked. Raises RunFolderError."""
    return _checked(path, forms.METRICS)


def read_timing(path: Path) -> list[dict[str, Any]]:
    """Returns the whole lines of timing.jsonl, checked. Raises RunFolderError."""
    return _checked(path, forms.TIMING)


def rollbacks(path: Path) -> list[list[float]]:
    """Returns the scales [S] of the learning rates after each rollback that timing.jsonl records (config.nonfinite)."""
    return [line["scale"] for line in read_timing(path) if line["event"] == "rollback"]


def _checked(path: Path, form: forms.Form) -> list[dict[str, Any]]:
    lines = files.read_json_lines(path)
    return [forms.check(line, form, f"{path}, line {number},") for number, line in enumerate(lines, 1)]


def cut_metrics(path: Path, step: int) -> None:
    """Cuts metrics.jsonl back to a checkpoint: removes later steps, the test split and a torn last line."""
    lines = read_metrics(path)
    files.write_json_lines(path, [line for line in lines if line["step"] <= step and line["split"] != "test"])


class Timing:
    """Appends to timing.jsonl. Each line's `seconds` count from the line before (the first: from the start of the
    process), so their sum is the whole time over any number of resumes, except for what a kill left unwritten. Steps
    repeated after a kill count again: that time was spent."""

    def __init__(self, path: Path, started: float):
        """`started`: `time.perf_counter()` at the start of the process."""
        self._path, self._last = path, started
        files.write_json_lines(path, read_timing(path))  # drops a line that a crash tore

    def trained(self, event: str, *, step: int, train_seconds: float, images: int, **values: Any) -> None:
        """Appends a line about training: `images` of all seeds took `train_seconds` inside the steps."""
        speed = round(images / train_seconds, 1)
        self.write(
            event, step=step, train_seconds=round(train_seconds, 4), images=images, images_per_second=speed, **values
        )

    def write(self, event: str, **values: Any) -> None:
        """Appends a line."""
        now = time.perf_counter()
        files.append_json_line(self._path, {"event": event, "seconds": round(now - self._last, 4), **values})
        self._last = now


def total_times(path: Path) -> dict[str, float]:
    """Sums timing.jsonl: train_seconds (inside the steps, all seeds together), compile_seconds, total_seconds,
    images_per_second (training images of all seeds per train second)."""
    lines = read_timing(path)
    train, images = (sum(line.get(key, 0) for line in lines) for key in ("train_seconds", "images"))
    return {
        "train_seconds": round(train, 4),
        "compile_seconds": round(sum(line.get("compile_seconds", 0) for line in lines), 4),
        "total_seconds": round(sum(line["seconds"] for line in lines), 4),
        "images_per_second": round(images / train, 1) if train else 0.0,
    }


class TensorBoard:
    """Event files without TensorFlow: one folder per seed under tensorboard/."""

    def __init__(self, folder: Path, seeds: list[int], config_text: str, step: int | None):
        """`step`: where a resumed run stands (TensorBoard hides its later events); None: the run is new."""
        from tensorboardX import SummaryWriter

        self._writers = {
            seed: SummaryWriter(str(folder / f"seed_{seed}"), purge_step=None if step is None else step + 1)
            for seed in seeds
        }
        for writer in self._writers.values():
            if step is None:
                writer.add_text("config", f"```\n{config_text}```", 0)

    def write(self, line: dict[str, Any]) -> None:
        """Writes the values of a metrics line."""
        for i, seed in enumerate(line["seeds"]):
            for name, values in line["per_seed"].items():
                self._writers[seed].add_scalar(f"{line['split']}/{name}", values[i], line["step"])

    def speed(self, step: int, images_per_second: float) -> None:
        """Writes the training images of all seeds per second inside the steps; for every seed, for they share it."""
        for writer in self._writers.values():
            writer.add_scalar("train/images_per_second", images_per_second, step)

    def results(self, summary: dict[str, Any]) -> None:
        """Does nothing: the line of the test set has them."""

    def close(self) -> None:
        """Flushes and closes the files."""
        for writer in self._writers.values():
            writer.close()
