# The look of every figure of the course; scripts/course.py puts this text into the set-up cell of each chapter.
import matplotlib.pyplot as plt
import numpy as np

from hwr_jax.core import canvas

BLUE, RED, GREEN, _, _, _, GREY = canvas.LIGHT.colours  # in dark mode too: the ink of a digit is black on white paper
ORANGE = "#e69f00"  # of what lies beside blue, such as negative weights; red is for what is wrong
plt.rcParams.update(canvas.style() | {"figure.figsize": (7.5, 3.2), "figure.dpi": 130})


def show(images, titles=(), columns=10, side=0.8, **look):
    """Draws images [N, H, W] in rows of `columns`, each with a title above it."""
    rows = -(-len(images) // columns)
    height = side * np.shape(images[0])[0] / np.shape(images[0])[1] + (0.28 if len(titles) else 0.1)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns + 0.1, rows * height), squeeze=False)
    for panel in axes.flat:
        panel.axis("off")
    for panel, image in zip(axes.flat, images, strict=False):
        panel.imshow(image, **look)
    for panel, title in zip(axes.flat, titles, strict=False):
        panel.set_title(title, fontsize=9)
    plt.show()
