"""The map of the test images: the last hidden layer in two dimensions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwr_jax.core import canvas
from hwr_jax.core.types import Arrays
from hwr_jax.drawing.network import Network
from hwr_jax.drawing.record import Record

SHOWN = 2000  # test images, the first
COMPONENTS = 50  # that are left for t-SNE
PERPLEXITY = 30
SEED = 0


def t_sne(hidden: np.ndarray) -> np.ndarray:
    """Returns places float32 [N, 2] of vectors [N, D], N >= 2: neighbours stay neighbours, large distances mean
    nothing. The same vectors give the same places.

    van der Maaten & Hinton 2008, "Visualizing Data using t-SNE", after a principal component analysis; by scikit-learn.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    fewer = min(COMPONENTS, *hidden.shape)
    perplexity = min(PERPLEXITY, (len(hidden) - 1) / 3)
    with threadpool_limits(1):  # the order of a sum depends on the number of threads
        reduced = PCA(fewer, svd_solver="full").fit_transform(hidden.astype(np.float64))
        return TSNE(2, perplexity=perplexity, init="pca", random_state=SEED).fit_transform(reduced)


def draw(path: Path, record: Record, network: Network, test: Arrays) -> None:
    """Draws the map, each image as the name of its label; mistakes of this seed are circled."""
    label = record.label[:SHOWN]
    places = t_sne(network.hidden(np.asarray(test.image)[:SHOWN]))
    wrong = record.pred[record.seeds.index(network.seed)][:SHOWN] != label
    title = f"The last hidden layer of {record.name}, seed {network.seed}, on {len(label):,} test images (t-SNE)"
    with canvas.drawn(path, 6.4, 6.4, title=title) as figure:
        axes, looks, theme = figure.subplots(), canvas.looks(record.classes), canvas.theme()
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.margins(0.03)
        axes.scatter(*places[wrong].T, s=90, facecolors="none", edgecolors=theme.ink, linewidths=1, zorder=3)
        for k, name in enumerate(record.classes):
            own = places[label == k]
            if not len(own):
                continue
            axes.scatter(*own.T, s=9, color=looks[name]["color"], marker=looks[name]["marker"], alpha=0.7, linewidths=0)
            box = {"boxstyle": "circle,pad=0.25", "facecolor": theme.paper, "edgecolor": looks[name]["color"]}
            axes.text(*np.median(own, 0), name, ha="center", va="center", bbox=box, zorder=4)
        axes.text(
            0.5,
            -0.01,
            f"circled: {int(wrong.sum())} mistakes",
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=8,
        )
