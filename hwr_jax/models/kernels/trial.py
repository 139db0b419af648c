"""Calls each kernel of a library, with zeros, in a process of its own: `python trial.py LIBRARY`.

Where a compiler has made something wrong, a call may crash, and this process with it, not the one that builds. Whether
the results are right is for `exactness` to say. Imports nothing but the standard library, and so starts at once.
"""

import ctypes
import sys

CASES = (  # B, H, W, C, F, kernel side, stride, padding: each of the kernel's ways once
    (5, 9, 8, 9, 11, 3, 1, 1),  # large tiles
    (4, 6, 6, 9, 11, 3, 1, 1),  # small ones
    (2, 7, 9, 9, 40, 3, 1, 1),  # few large ones
    (1, 4, 4, 24, 40, 3, 1, 1),  # a single one
    (9, 14, 14, 40, 33, 3, 1, 1),  # large ones, more than a thread takes at once; the kernel's gradient place by place
    (2, 7, 7, 66, 64, 3, 1, 0),  # few small ones, and large ones for the gradient of the image
    (3, 9, 9, 1, 5, 5, 1, 0),
    (2, 9, 8, 16, 12, 3, 2, 1),
    (2, 8, 8, 24, 40, 1, 2, 0),
)
SUMMED = (5, 37, 3 * 16 + 16 + 5)  # B, rows, C: three vectors abreast, one, and single channels on every machine
READ = (1, 26, 5, 19, 2, 48)  # seeds, B, T, C, directions, width, as in the source's Layer
BLOCKS = ((4, 4), (4, 3), (1, 1))  # of each cell: in its bias, in its factors


def shape_of(batch, height, width, channels, features, side, stride, padding) -> tuple[int, ...]:
    """Returns the values of the source's Shape for one of CASES."""
    down, across = ((size + 2 * padding - side) // stride + 1 for size in (height, width))
    return batch, height, width, channels, down, across, features, side, side, stride, stride, padding, padding


def main(path: str) -> None:
    """Calls every kernel of the library at `path`."""
    library = ctypes.CDLL(path)
    for case in CASES:
        shape = shape_of(*case)
        batch, height, width, channels, down, across, features, rows, columns = shape[:9]
        image, weights = _zeros(batch * height * width * channels), _zeros(rows * columns * channels * features)
        result = _zeros(batch * down * across * features)
        calls = ((image, weights, result), (weights, result, image), (image, result, weights))
        for what, (left, right, out) in enumerate(calls):
            library.HwrConvolve(ctypes.c_int64(what), left, right, _sizes(shape), out)
    batch, rows, channels = SUMMED
    a, shift, sums = _zeros(batch * rows * channels), _zeros(channels), [_zeros(channels) for _ in range(2)]
    library.HwrSum(a, a, shift, *map(ctypes.c_int64, SUMMED), *sums)
    _, batch, steps, values, directions, width = READ
    for cell, (biases, columns) in enumerate(BLOCKS):
        x, out = _zeros(batch * steps * values), _zeros(batch * steps * directions * width)
        inputs, state = (_zeros(directions * n * columns * width) for n in (values, width))
        bias, of_x = _zeros(directions * biases * width), _zeros(batch * directions * steps * values)
        given = (x, inputs, state, bias, out)
        made = (_zeros(len(out)), of_x, _zeros(len(inputs)), _zeros(len(state)), _zeros(len(bias)))
        library.HwrReadAlone(ctypes.c_int64(cell), *given, _sizes(READ), *made)


def _zeros(count: int) -> ctypes.Array:
    return (ctypes.c_float * count)()


def _sizes(values: tuple[int, ...]) -> ctypes.Array:
    return (ctypes.c_int64 * len(values))(*values)


if __name__ == "__main__":
    main(sys.argv[1])
