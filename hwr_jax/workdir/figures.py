"""The figures of a run, as PNG files: what they look like. Reads metrics.jsonl and arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hwr_jax.core import canvas, files
from hwr_jax.core.types import Arrays, Dataset, Outputs, Tree
from hwr_jax.tasks import metrics

SAMPLE = 64  # training images shown
WORST = 36  # mistakes shown
SIDE = 24  # pixels at least: smaller images are magnified


def draw_all(
    folder: Path,
    dataset: Dataset,
    outputs: list[Outputs],
    params: Tree,
    *,
    title: str,
    augment: Callable[[np.ndarray], np.ndarray] | None,
) -> None:
    """Draws every figure of a finished run into figures/.

    Args:
      folder: the run folder; metrics.jsonl is read.
      dataset: what the run was trained and tested on.
      outputs: on the test set, per seed; the mistakes are the first seed's.
      params: of one seed, for the filters.
      title: names the run in every figure.
      augment: images float32 [N, H, W, 1] in 0..1 -> the same, as in training; None: no augmentation.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    label, classes = np.asarray(dataset.test.label), dataset.classes
    learning_curves(figures / "learning_curves.png", files.read_json_lines(folder / "metrics.jsonl"), title)
    if label.ndim == 1:
        confusion = np.sum([metrics.confusion_matrix(label, np.asarray(o.pred), len(classes)) for o in outputs], axis=0)
        confusion_matrix(figures / "confusion_matrix.png", confusion, classes, title)
    worst_mistakes(figures / "worst_mistakes.png", dataset.test, outputs[0], classes, title)
    training_images(figures / "training_images.png", dataset, augment)
    first_filters(figures / "first_filters.png", params)


def learning_curves(path: Path, lines: list[dict[str, Any]], title: str) -> None:
    """Draws loss and error rate over the epochs: mean over the seeds, and their range as a band."""
    figure = canvas.figure(9, 3.6)
    loss, error = figure.subplots(1, 2)
    for split, colour in (("train", "tab:blue"), ("validation", "tab:orange")):
        rows = [line for line in lines if line["split"] == split]
        epochs = [line["epoch"] for line in rows]
        each = {
            loss: np.array([line["per_seed"]["loss"] for line in rows]),
            error: 100 * (1 - np.array([line["per_seed"]["accuracy"] for line in rows])),
        }
        for axes, values in each.items():
            axes.plot(epochs, values.mean(1), color=colour, marker=".", label=split)
            axes.fill_between(epochs, values.min(1), values.max(1), color=colour, alpha=0.2)
    for axes, words in ((loss, "loss (nats)"), (error, "error rate (%)")):
        axes.set(xlabel="epoch", ylabel=words, yscale="log" if axes is loss else "symlog")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path)


def confusion_matrix(path: Path, confusion: np.ndarray, classes: tuple[str, ...], title: str) -> None:
    """Draws the counts int [K, K] (row = label); only mistakes are coloured."""
    side = max(4.5, 0.45 * len(classes))
    figure = canvas.figure(side, side)
    axes = figure.subplots()
    mistakes = confusion * (1 - np.eye(len(classes), dtype=int))
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, mistakes.max()))
    for row, column in np.ndindex(*confusion.shape):
        if confusion[row, column]:
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", fontsize=7)
    ticks = range(len(classes))
    axes.set(xlabel="prediction", ylabel="label", title=title, xticks=ticks, yticks=ticks)
    axes.set_xticklabels(classes)
    axes.set_yticklabels(classes)
    figure.savefig(path)


def worst_mistakes(path: Path, test: Arrays, outputs: Outputs, classes: tuple[str, ...], title: str) -> None:
    """Draws the wrong predictions with the highest loss, each with label, prediction and confidence."""
    label = np.asarray(test.label)
    wrong = np.flatnonzero(~metrics.right(outputs.pred, label))
    wrong = wrong[np.argsort(-outputs.loss[wrong], kind="stable")][:WORST]
    captions = [
        f"#{i}: {metrics.text(label[i], classes)}, read {metrics.text(outputs.pred[i], classes) or 'nothing'} "
        f"({outputs.confidence[i]:.0%})"
        for i in wrong
    ]
    _montage(path, test.image[wrong, :, :, 0], captions, f"Worst mistakes: {title} ({len(captions)} shown)", columns=6)


def training_images(path: Path, dataset: Dataset, augment: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Draws training images as the model sees them: augmented, but not yet standardised."""
    image = np.asarray(dataset.train.image[:SAMPLE], np.float32) / 255
    names = [metrics.text(label, dataset.classes) for label in dataset.train.label[: len(image)]]
    words = "training images as the model sees them" if augment else "training images (no augmentation)"
    _montage(path, (augment(image) if augment else image)[..., 0], names, f"{dataset.name}: {words}", columns=8)


def first_filters(path: Path, params: Tree) -> None:
    """Draws the kernels of the first convolution [h, w, 1, F]; without convolutions, the first matrix as images."""
    kernels = [p for p in jax.tree.leaves(params) if p.ndim == 4 and p.shape[2] == 1]
    if kernels:
        filters = kernels[0][:, :, 0].transpose(2, 0, 1)
    else:
        dense = [p for p in jax.tree.leaves(params) if p.ndim == 2 and p.shape[0] == 28 * 28]
        if not dense:
            return
        filters = dense[0].T[:SAMPLE].reshape(-1, 28, 28)
    limit = float(np.abs(filters).max())
    _montage(path, filters, None, "First-layer filters", columns=8, cmap="RdBu", vmin=-limit, vmax=limit)


def _montage(path: Path, images: np.ndarray, captions: list[str] | None, title: str, *, columns: int, **look) -> None:
    """Draws images [N, H, W] in a grid, lines of text in fewer columns; without images, only the title.

    All are one picture on one pair of axes: a hundred pairs of axes take seconds to lay out.
    """
    images = images.repeat(max(1, SIDE // images.shape[1]), 1).repeat(max(1, SIDE // images.shape[1]), 2)
    height, width = images.shape[1:]
    is_line = len(images) > 0 and width > 2 * height
    columns = columns // 2 if is_line else columns
    rows = max(1, -(-len(images) // columns))
    wide = captions is not None and any(len(c) > 4 for c in captions)
    cell_in = (3.0, 1.0) if is_line else (1.75, 1.75) if wide else (1.0, 1.2)
    caption_in = 0.0 if captions is None else 0.2
    px_per_in = max(width / (0.92 * cell_in[0]), height / (0.92 * cell_in[1] - caption_in))
    across, down, caption = (round(px_per_in * inches) for inches in (*cell_in, caption_in))
    sheet = np.full((rows * down, columns * across), np.nan)  # which is drawn as paper
    figure = canvas.figure(columns * cell_in[0], 0.4 + rows * cell_in[1])
    axes = figure.subplots()
    axes.axis("off")
    for i, image in enumerate(images):
        y = i // columns * down + caption + (down - caption - height) // 2
        x = i % columns * across + (across - width) // 2
        low, high = look.get("vmin", image.min()), look.get("vmax", image.max())
        sheet[y : y + height, x : x + width] = (image - low) / ((high - low) or 1)
        if captions is not None:
            axes.text(
                x + width / 2, y - 0.04 * px_per_in, captions[i], ha="center", va="bottom", fontsize=7, parse_math=False
            )
    axes.imshow(sheet, cmap=look.get("cmap", "gray_r"), vmin=0, vmax=1)
    figure.suptitle(title)
    figure.savefig(path)
