"""Which pixels decide: saliency and occlusion maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hwr_jax.core import canvas
from hwr_jax.core.types import Arrays
from hwr_jax.drawing import hardest
from hwr_jax.drawing.network import Network
from hwr_jax.drawing.record import Record

SHOWN = 4  # right ones, and as many mistakes
SQUARE_PX = 5  # side of the square that is covered
SQUARES_AT_ONCE = 98
OUTLINE = 0.4  # the ink around which a line is drawn


def saliency(network: Network, framed: jax.Array, target: np.ndarray) -> np.ndarray:
    """Returns how strongly each pixel moves the log probability of a class: the absolute gradient, float32 [N, H', W'].

    Simonyan, Vedaldi & Zisserman 2014, "Deep Inside Convolutional Networks".

    Args:
      network: see `Network`.
      framed: float32 [N, H', W', 1] in 0..1.
      target: the class of each image, int [N].
    """

    def total(image):
        return network.log_prob(image)[jnp.arange(len(target)), np.asarray(target)].sum()

    return np.abs(np.asarray(jax.jit(jax.grad(total))(framed)))[..., 0]


def occlusion(network: Network, framed: jax.Array, target: np.ndarray) -> np.ndarray:
    """Returns by how much the log probability of a class falls, in nats, when a square of `SQUARE_PX` around a pixel
    becomes paper: float32 [N, H', W']; negative where it rises.

    Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks".

    See `saliency` for the arguments.
    """
    height, width = framed.shape[1:3]
    rows = np.arange(len(target))
    reach = SQUARE_PX // 2

    def fall(image, k):
        before = network.log_prob(image[None])[0, k]
        y, x = jnp.arange(height)[:, None], jnp.arange(width)[None, :]

        def covered(at):
            square = (jnp.abs(y - at // width) <= reach) & (jnp.abs(x - at % width) <= reach)
            return network.log_prob(jnp.where(square[..., None], 0.0, image)[None])[0, k]

        return before - lax.map(covered, jnp.arange(height * width), batch_size=SQUARES_AT_ONCE)

    one = jax.jit(fall)
    return np.stack([np.asarray(one(framed[i], jnp.int32(target[i]))).reshape(height, width) for i in rows])


def chosen(record: Record, seed: int) -> np.ndarray:
    """Returns the indices int [n] of the test images to show: the first that are right, of different classes, and the
    hardest that this seed reads wrongly."""
    pred = record.pred[record.seeds.index(seed)]
    firsts = np.sort(np.unique(np.where(pred == record.label, record.label, -1), return_index=True)[1])
    right = [i for i in firsts if pred[i] == record.label[i]][:SHOWN]
    wrong = [i for i in hardest.ranked(record) if pred[i] != record.label[i]][:SHOWN]
    return np.array([*right, *wrong], np.int64)


def draw(path: Path, record: Record, network: Network, test: Arrays) -> None:
    """Draws images, and below each what decided for the class that was read."""
    rows = chosen(record, network.seed)
    of_seed = record.seeds.index(network.seed)
    pred, sure = record.pred[of_seed, rows], record.confidence[of_seed, rows]
    framed = network.framed(np.asarray(test.image)[rows])
    captions = [
        f"label {record.classes[record.label[i]]}\nread {record.classes[k]}, {share:.0%}"
        for i, k, share in zip(rows, pred, sure, strict=True)
    ]
    title = f"What decides for the class that is read: {record.name}, seed {network.seed}"
    with canvas.drawn(path, 0.88 * max(5, len(rows)) + 0.4, 4.1, title=title) as figure:
        panels = figure.subplots(3, len(rows), squeeze=False)
        for panel, words in zip(panels[0], captions, strict=True):
            panel.set_title(words, fontsize=8)
        show(panels, np.asarray(framed)[..., 0], *(find(network, framed, pred) for find in (saliency, occlusion)))
        for panel, words in zip(panels[:, 0], ("image", "saliency", "occlusion"), strict=True):
            panel.set_ylabel(words)
        figure.supxlabel(NOTE, fontsize=8)


NOTE = (
    "saliency: |gradient| of the log probability; occlusion: covering blue pixels (a 5 x 5 square) lowers it, "
    "covering orange ones raises it"
)


def show(panels: Any, images: np.ndarray, saliency: np.ndarray, occlusion: np.ndarray) -> None:
    """Draws images [N, H, W] and their maps into axes [3, N]; each map has its own scale."""
    theme = canvas.theme()
    for column, (image, slope, fall) in enumerate(zip(images, saliency, occlusion, strict=True)):
        limit = float(np.abs(fall).max()) or 1.0
        panels[0, column].imshow(image, cmap="gray_r", vmin=0, vmax=1)
        panels[1, column].imshow(slope, cmap=theme.scale, vmin=0)
        panels[2, column].imshow(fall, cmap=theme.signed, vmin=-limit, vmax=limit)
        for panel in panels[1:, column] if image.min() < OUTLINE < image.max() else ():
            panel.contour(image, [OUTLINE], colors=theme.ink, linewidths=0.5, alpha=0.6)
    for panel in np.ravel(panels):
        panel.set(xticks=[], yticks=[])
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
