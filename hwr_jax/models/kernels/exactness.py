"""Whether a compiled library computes right on this machine: each of its kernels against sums in float64."""

from __future__ import annotations

import ctypes

import numpy as np

from hwr_jax.models.kernels import reference, trial

TOLERANCE = 1e-5  # of the largest value
CASES_IN_ALL = len(trial.CASES) + 1 + len(reference.GATES)


def wrong(library: ctypes.CDLL) -> str:
    """Compares the library with sums in float64; returns what is wrong in words, or nothing."""
    return _of_convolutions(library) or _of_sums(library) or _of_cells(library)


def _of_convolutions(library: ctypes.CDLL) -> str:
    draw = np.random.default_rng(0).standard_normal
    for case in trial.CASES:
        batch, height, width, channels, features, side, stride, padding = case
        shape = np.array(trial.shape_of(*case), np.int64)
        down, across = shape[4:6]
        image = draw((batch, height, width, channels), np.float32)
        weights = draw((side, side, channels, features), np.float32)
        gradient = draw((batch, down, across, features), np.float32)
        wanted = reference.convolution(image, weights, gradient, stride, padding)
        for what, (left, right) in enumerate(((image, weights), (weights, gradient), (image, gradient))):
            found = np.full(wanted[what].shape, np.nan, np.float32)
            library.HwrConvolve(
                ctypes.c_int64(what), *(ctypes.c_void_p(a.ctypes.data) for a in (left, right, shape, found))
            )
            error = np.max(np.abs(found - wanted[what])) / np.max(np.abs(wanted[what]))
            if not error <= TOLERANCE:  # NaN too
                name = ("result", "gradient of the image", "gradient of the kernel")[what]
                return f"the {name} of {side}x{side} kernels with stride {stride}: error {error:.1e}"
    return ""


def _of_sums(library: ctypes.CDLL) -> str:
    draw = np.random.default_rng(1).standard_normal
    batch, rows, channels = trial.SUMMED
    a, b, shift = (draw(shape, np.float32) for shape in ((batch * rows, channels),) * 2 + ((channels,),))
    found = np.full((2, channels), np.nan, np.float32)
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, shift)]
    sizes = (ctypes.c_int64(n) for n in (batch, rows, channels))
    library.HwrSum(*pointers, *sizes, *(ctypes.c_void_p(x.ctypes.data) for x in found))
    wanted = np.stack([a.sum(0, np.float64), (a * (b.astype(np.float64) - shift)).sum(0)])
    error = np.max(np.abs(found - wanted) / np.max(np.abs(wanted), axis=1, keepdims=True))
    return "" if error <= TOLERANCE else f"the sums over a batch: error {error:.1e}"


def _of_cells(library: ctypes.CDLL) -> str:
    for which, cell in enumerate(reference.GATES):
        blocks, columns = trial.BLOCKS[which]
        draw = np.random.default_rng(which).standard_normal
        _, batch, steps, values, directions, width = trial.READ
        x, of_out = draw((batch, steps, values), np.float32), draw((batch, steps, directions, width), np.float32)
        factors = [draw((directions, n, columns, width), np.float32) / 4 for n in (values, width)]
        given = (x, *factors, draw((directions, blocks, width), np.float32), of_out)
        sizes = np.array(trial.READ, np.int64)
        wanted = reference.recurrent(cell, *given)
        found = [np.full(a.shape, np.nan, np.float32) for a in (wanted[0], *given[:4])]
        found[1] = np.full((batch, directions, steps, values), np.nan, np.float32)
        pointers = (ctypes.c_void_p(a.ctypes.data) for a in (*given, sizes, *found))
        library.HwrReadAlone(ctypes.c_int64(which), *pointers)
        found[1] = found[1].sum(1)
        error = max(np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in zip(found, wanted, strict=True))
        if not error <= TOLERANCE:
            return f"the recurrent layer {cell}: error {error:.1e}"
    return ""
