"""What the model sees of one's own picture: from the file to the pixels, the pixels that decide, the probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import canvas
from hwr_jax.drawing import evidence
from hwr_jax.drawing.network import Network
from hwr_jax.pictures import decode, normalise

SIDE_PX = 600  # of the picture in the figure, at most
BEST = 10  # classes


def draw(path: Path, name: str, network: Network, picture: Path, content: bytes) -> tuple[str, float]:
    """Draws the way of a picture of one character through the model, and returns what is read, and how surely.

    Args:
      path: of the PNG file.
      name: of the run.
      network: of single characters.
      picture: its file, for messages.
      content: of that file, of any accepted format.

    Raises:
      DataError: not an accepted picture, or no ink in it.
    """
    grey = decode.grey_of(content, str(picture))
    found = normalise.normalised(grey)
    framed = network.framed(found.image[None, ..., None])
    prob = np.exp(np.asarray(network.log_prob(framed))[0])
    order = np.argsort(-prob, kind="stable")[:BEST]
    classes, best = network.facts["classes"], int(order[0])
    maps = [find(network, framed, np.array([best])) for find in (evidence.saliency, evidence.occlusion)]
    doubts = "".join(f"\n{doubt}" for doubt in found.doubts)
    with canvas.drawn(path, 7.5, 3.9, title=f"{picture.name} as {name}, seed {network.seed}, sees it") as figure:
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.35, 1))
        panels = upper.subplots(1, 4)
        _show(panels[0], _small(grey), "the picture")
        seen = np.asarray(framed)[0, ..., 0]
        evidence.show(panels[1:, None], np.asarray(framed)[..., 0], *maps)
        gets = f"what the network gets\n({seen.shape[1]} x {seen.shape[0]} pixels)"
        for panel, words in zip(panels[1:], (gets, "saliency\n", "occlusion\n"), strict=True):
            panel.set_title(words, fontsize=9)
        axes = lower.subplots()
        colours = [canvas.theme().colours[0] if k == best else canvas.theme().faint for k in order]
        bars = axes.bar([classes[k] for k in order], 100 * prob[order] * found.trust, color=colours)
        axes.bar_label(bars, [_percent(prob[k] * found.trust) for k in order], fontsize=8)
        axes.set(ylabel="confidence (%)", ylim=(0, 115), xlabel=f"read: {classes[best]}{doubts}")
        axes.grid(visible=False, axis="x")
    return classes[best], float(prob[best] * found.trust)


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.001 else f"{100 * share:.3g} %"


def _small(grey: np.ndarray) -> np.ndarray:
    step = -(-max(grey.shape) // SIDE_PX)
    return grey[::step, ::step]


def _show(axes: Any, grey: np.ndarray, words: str) -> None:
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"{words}\n", fontsize=9)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
