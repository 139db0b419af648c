"""Other sizes of grey values, with the memory of the smaller one."""

from __future__ import annotations

import numpy as np

WORK_PX = 640  # larger pictures are averaged down to this longer side: a pen line on a full page stays 2 pixels wide
STRIP_PX = 4_000_000  # reduced at a time


def shrink(grey: np.ndarray, longer_px: int) -> np.ndarray:
    """Average so that the longer side is at most `longer_px`. uint8 or float32 [h, w] -> float32 [h', w']."""
    scale = longer_px / max(grey.shape)
    if scale >= 1:
        return grey.astype(np.float32, copy=False)
    return resize(grey, (max(1, round(grey.shape[0] * scale)), max(1, round(grey.shape[1] * scale))))


def resize(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Average when shrinking, interpolate linearly when enlarging. uint8 or float32 [h, w] -> float32 [*shape].

    The rows are shrunk a strip of `STRIP_PX` at a time: a picture of 64 Mpx would take 256 MB in float32.
    """
    from PIL import Image

    if values.shape == tuple(shape):
        return values.astype(np.float32, copy=False)
    kernel = Image.Resampling.BOX if shape[0] < values.shape[0] else Image.Resampling.BILINEAR
    rows = max(1, STRIP_PX // values.shape[1])
    if rows >= values.shape[0]:
        return np.asarray(Image.fromarray(values.astype(np.float32, copy=False)).resize(shape[::-1], kernel))
    narrow = []
    for top in range(0, values.shape[0], rows):
        strip = Image.fromarray(values[top : top + rows].astype(np.float32))
        narrow.append(np.asarray(strip.resize((shape[1], strip.height), kernel)))
    return np.asarray(Image.fromarray(np.concatenate(narrow)).resize(shape[::-1], kernel))
