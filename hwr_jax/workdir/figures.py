"""The figures of a run, as PNG files: what they look like. Reads metrics.jsonl and arrays."""

from __future__ import annotations

import functools
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
CONFUSED = 100  # classes shown: a figure of a thousand would have 2.5 gigapixels
LETTER_IN = 0.09  # width of a letter of a class's name, inches
SIDE = 24  # pixels at least: smaller images are magnified


def draw_all(
    folder: Path,
    dataset: Dataset,
    outputs: list[Outputs],
    params: Tree,
    *,
    name: str,
    seeds: list[int],
    augment: Callable[[np.ndarray], np.ndarray] | None,
) -> None:
    """Draws every figure of a finished run into figures/.

    Args:
      folder: the run folder; metrics.jsonl is read.
      dataset: what the run was trained and tested on.
      outputs: on the test set, per seed; the mistakes are the first seed's.
      params: of one seed, for the filters.
      name: of the run, for the titles.
      seeds: all, in the order of `outputs`.
      augment: images float32 [N, H, W, 1] in 0..1 -> the same, as in training; None: no augmentation.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    label, classes = np.asarray(dataset.test.label), dataset.classes
    first, several = f"{name}, seed {seeds[0]}", f"{name}, {len(seeds)} seeds"
    title = several if len(seeds) > 1 else first
    learning_curves(figures / "learning_curves.png", files.read_json_lines(folder / "metrics.jsonl"), title)
    if label.ndim == 1:
        confusion = np.sum([metrics.confusion_matrix(label, np.asarray(o.pred), len(classes)) for o in outputs], axis=0)
        confusion_matrix(figures / "confusion_matrix.png", confusion, classes, title)
    worst_mistakes(figures / "worst_mistakes.png", dataset.test, outputs[0], classes, first)
    training_images(figures / "training_images.png", dataset, augment)
    first_filters(figures / "first_filters.png", params)


def learning_curves(path: Path, lines: list[dict[str, Any]], title: str) -> None:
    """Draws loss and error rate over the epochs: mean over the seeds, and their range as a band."""
    with canvas.drawn(path, 7.5, 3.2, title=title) as figure:
        panels, looks = figure.subplots(1, 2), canvas.looks(("train", "validation"))
        for split, look in looks.items():
            epochs, *values = over_epochs(lines, split)
            for axes, of_seeds in zip(panels, values, strict=True):
                axes.plot(epochs, of_seeds.mean(1), label=split, **look)
                axes.fill_between(epochs, of_seeds.min(1), of_seeds.max(1), color=look["color"], alpha=0.2, linewidth=0)
        finish_curves(panels)
        panels[1].legend()


def over_epochs(lines: list[dict[str, Any]], split: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Returns the epochs [E] of a split in metrics.jsonl, and of each the loss (nats) and the error rate (%) of every
    seed [E, S]."""
    rows = [line for line in lines if line["split"] == split]
    loss, accuracy = (np.array([line["per_seed"][name] for line in rows]) for name in ("loss", "accuracy"))
    return [line["epoch"] for line in rows], loss, 100 * (1 - accuracy)


def finish_curves(panels: Any) -> None:
    """Gives the axes of loss and error rate names and readable ticks; logarithmic where nothing is 0."""
    from matplotlib.ticker import MaxNLocator

    for axes, words in zip(panels, ("loss (nats)", "error rate (%)"), strict=True):
        lowest = min((float(np.min(line.get_ydata())) for line in axes.lines if len(line.get_ydata())), default=0.0)
        axes.set(xlabel="epoch", ylabel=words, yscale="log" if lowest > 0 else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[1].set_ylim(top=min(100.0, panels[1].get_ylim()[1]))
    canvas.plain_ticks(*panels)


def confusion_matrix(path: Path, confusion: np.ndarray, classes: tuple[str, ...], title: str) -> None:
    """Draws the counts int [K, K] (row = label); only mistakes are coloured. Of more than CONFUSED classes, those
    with the most mistakes are drawn."""
    shown, some = most_mistaken(confusion, CONFUSED)
    title, confusion, classes = title + some, confusion[np.ix_(shown, shown)], tuple(classes[k] for k in shown)
    side = max(4.5, 0.45 * len(classes))
    mistakes = confusion * (1 - np.eye(len(classes), dtype=int))
    with canvas.drawn(path, side, side, title=title) as figure:
        axes = figure.subplots()
        shown = axes.imshow(mistakes, cmap=canvas.theme().scale, vmin=0, vmax=max(1, mistakes.max()))
        for row, column in np.ndindex(*confusion.shape):
            if confusion[row, column]:
                ink = canvas.ink_on(shown.cmap(shown.norm(mistakes[row, column])))
                axes.text(column, row, str(confusion[row, column]), ha="center", va="center", fontsize=7, color=ink)
        ticks = range(len(classes))
        axes.set(xlabel="prediction", ylabel="label")
        axes.set_xticks(ticks, classes, rotation=90 if LETTER_IN * max(map(len, classes)) > side / len(classes) else 0)
        axes.set_yticks(ticks, classes)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)


def most_mistaken(confusion: np.ndarray, most: int) -> tuple[np.ndarray, str]:
    """Returns the classes to show, int [n] in their order: all, or the `most` with the most mistakes, by the counts int
    [K, K] (row = label); and the words about that which end a title."""
    if len(confusion) <= most:
        return np.arange(len(confusion)), ""
    wrong = confusion.sum(0) + confusion.sum(1) - 2 * confusion.diagonal()
    words = f": the {most:,} of {len(confusion):,} classes with the most mistakes"
    return np.sort(np.argsort(-wrong, kind="stable")[:most]), words


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
    montage(path, test.image[wrong, :, :, 0], captions, f"Worst mistakes: {title} ({len(captions)} shown)", columns=6)


def training_images(path: Path, dataset: Dataset, augment: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Draws training images as the model sees them: augmented (float32 [N, H, W, 1]), but not yet standardised."""
    image = np.asarray(dataset.train.image[:SAMPLE], np.float32) / 255
    names = [metrics.text(label, dataset.classes) for label in dataset.train.label[: len(image)]]
    words = "training images as the model sees them" if augment else "training images (no augmentation)"
    montage(path, (augment(image) if augment else image)[..., 0], names, f"{dataset.name}: {words}", columns=8)


def first_filters(path: Path, params: Tree) -> None:
    """Draws the kernels of the first convolution [h, w, 1, F]; without convolutions, the first matrix as images."""
    filters = filters_of(params)
    if filters is not None:
        montage(path, filters, None, "First-layer filters", columns=8, signed=True)


def filters_of(params: Tree) -> np.ndarray | None:
    """Returns the kernels of the first convolution as images [F, h, w], or at most `SAMPLE` columns of the first matrix
    as images [F, 28, 28]; None: the network has neither."""
    layer = first_convolution(params)
    if layer is not None:
        kernel = functools.reduce(lambda tree, name: tree[name], layer.split("/"), params)["kernel"]
        return np.asarray(kernel[:, :, 0].transpose(2, 0, 1))
    dense = [p for p in jax.tree.leaves(params) if p.ndim == 2 and p.shape[0] == 28 * 28]
    return np.asarray(dense[0].T[:SAMPLE].reshape(-1, 28, 28)) if dense else None


def first_convolution(params: Tree) -> str | None:
    """Returns the name of the layer that convolves the image, such as Conv_0; of one inside a block Block_0/Conv_0.
    None: there is none."""
    names = [
        jax.tree_util.keystr(path[:-1], simple=True, separator="/")
        for path, p in jax.tree_util.tree_leaves_with_path(params)
        if path[-1] == jax.tree_util.DictKey("kernel") and p.ndim == 4 and p.shape[2] == 1
    ]
    return min(names, key=lambda name: name.count("/"), default=None)  # a depthwise one in a block has one channel, too


def montage(
    path: Path, images: np.ndarray, captions: list[str] | None, title: str, *, columns: int, signed: bool = False
) -> None:
    """Draws images [N, H, W] in a grid, lines of text in fewer columns; without images, only the title.

    All are one picture on one pair of axes: a hundred pairs of axes take seconds to lay out.

    Args:
      path: of the PNG file.
      images: each drawn from its lowest value (paper) to its highest (ink).
      captions: above each image, of one line or two; None: none.
      title: of the figure.
      columns: of single characters.
      signed: the values have a sign; the same colour is the same value in all images.
    """
    images = images.repeat(max(1, SIDE // images.shape[1]), 1).repeat(max(1, SIDE // images.shape[1]), 2)
    height, width = images.shape[1:]
    is_line = len(images) > 0 and width > 2 * height
    columns = columns // 2 if is_line else columns
    rows = max(1, -(-len(images) // columns))
    wide = captions is not None and any(len(c) > 4 for c in captions)
    cell_in = (3.0, 1.0) if is_line else (1.25, 1.45) if wide else (0.9, 1.1)
    caption_in = 0.0 if captions is None else 0.16 * max([1, *(c.count("\n") + 1 for c in captions)])
    px_per_in = max(width / (0.92 * cell_in[0]), height / (0.92 * cell_in[1] - caption_in))
    across, down, caption = (round(px_per_in * inches) for inches in (*cell_in, caption_in))
    sheet = np.full((rows * down, columns * across), np.nan)  # which is left as it is
    largest = float(np.abs(images).max(initial=0)) or 1.0
    with canvas.drawn(path, columns * cell_in[0], 0.4 + rows * cell_in[1], title=title) as figure:
        axes = figure.subplots()
        axes.axis("off")
        for i, image in enumerate(images):
            y = i // columns * down + caption + (down - caption - height) // 2
            x = i % columns * across + (across - width) // 2
            low, high = (-largest, largest) if signed else (image.min(), image.max())
            sheet[y : y + height, x : x + width] = (image - low) / ((high - low) or 1)
            if captions is not None:
                above = y - 0.04 * px_per_in
                axes.text(x + width / 2, above, captions[i], ha="center", va="bottom", fontsize=7)
        axes.imshow(sheet, cmap=canvas.theme().signed if signed else "gray_r", vmin=0, vmax=1)
