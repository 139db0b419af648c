"""Convolutions and recurrent layers in NumPy and float64: what the kernels are checked against."""

from __future__ import annotations

import numpy as np

# Cells in the kernel's order.
GATES = {"lstm": "ifgo", "gru": "nrzm", "simple": "h"}  # blocks of a step's sums; a GRU's r is multiplied with m
OF_INPUTS = {"lstm": "ifgo", "gru": "nrz", "simple": "h"}  # the blocks that have a product of the inputs
OF_STATE = {"lstm": "ifgo", "gru": "rzm", "simple": "h"}  # and those that have one of the state


def convolution(
    image: np.ndarray, weights: np.ndarray, gradient: np.ndarray, stride: int, padding: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the convolution of image [B, H, W, C] with weights [k, k, C, F] and, for a gradient [B, H', W', F] of it,
    the gradients of the image and of the weights, in float64."""
    side, (down, across) = len(weights), gradient.shape[1:3]
    padded = np.pad(image.astype(np.float64), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    result, of_image, of_weights = np.zeros(gradient.shape), np.zeros(padded.shape), np.zeros(weights.shape)
    for i in range(side):
        for j in range(side):
            rows, columns = slice(i, i + stride * down, stride), slice(j, j + stride * across, stride)
            window = padded[:, rows, columns][:, :down, :across]
            result += window @ weights[i, j].astype(np.float64)
            of_image[:, rows, columns][:, :down, :across] += gradient @ weights[i, j].T.astype(np.float64)
            of_weights[i, j] = np.tensordot(window, gradient.astype(np.float64), ((0, 1, 2), (0, 1, 2)))
    inside = slice(padding, -padding or None)
    return result, of_image[:, inside, inside], of_weights


def recurrent(
    cell: str,
    x: np.ndarray,
    inputs: np.ndarray,
    state: np.ndarray,
    bias: np.ndarray,
    of_out: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Reads sequences step by step; returns a layer's output (see `recurrent.read`) and its arguments' gradients.

    Args:
      cell: 'lstm', 'gru' or 'simple'.
      x: [B, T, C].
      inputs, state, bias: [D, C, blocks, H], [D, H, blocks, H], [D, blocks, H].
      of_out: the gradient of the output, [B, T, D, H].

    Returns:
      The output [B, T, D, H], and the gradients of x, inputs, state and bias, in their shapes; all float64.
    """
    x, inputs, state, bias, of_out = (a.astype(np.float64) for a in (x, inputs, state, bias, of_out))
    out, gradients = np.zeros(of_out.shape), [np.zeros(a.shape) for a in (x, inputs, state, bias)]
    step, step_back = CELLS[cell]
    for d in range(len(bias)):
        order = range(x.shape[1])[:: -1 if d else 1]
        kept, h, memory = [], np.zeros((len(x), bias.shape[-1])), np.zeros((len(x), bias.shape[-1]))
        for t in order:
            sums = np.einsum("bc,cgh->gbh", x[:, t], inputs[d]), np.einsum("bk,kgh->gbh", h, state[d])
            after, memory_after, gates = step(*sums, bias[d][:, None], h, memory)
            kept.append((gates, h, memory, memory_after))
            h, memory = after, memory_after
            out[:, t, d] = h
        of_h, of_memory = np.zeros(h.shape), np.zeros(h.shape)
        for t, (gates, h, memory, memory_after) in zip(reversed(order), reversed(kept), strict=True):
            of_h = of_h + of_out[:, t, d]
            of_sums, of_states, of_bias, direct, of_memory = step_back(of_h, of_memory, gates, h, memory, memory_after)
            of_x, of_inputs, of_state, all_of_bias = gradients
            of_x[:, t] += np.einsum("gbh,cgh->bc", of_sums, inputs[d])
            of_inputs[d] += np.einsum("bc,gbh->cgh", x[:, t], of_sums)
            of_state[d] += np.einsum("bk,gbh->kgh", h, of_states)
            all_of_bias[d] += of_bias.sum(1)
            of_h = direct + np.einsum("gbh,kgh->bk", of_states, state[d])
    return out, *gradients


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _lstm(of_x, of_h, bias, h, memory):
    i, f, g, o = of_x + of_h + bias
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    after = f * memory + i * g
    return o * np.tanh(after), after, (i, f, g, o)


def _lstm_back(of_h, of_memory, gates, h, memory, memory_after):
    i, f, g, o = gates
    bent = np.tanh(memory_after)
    total = of_memory + of_h * o * (1 - bent**2)
    sums = (total * g * i * (1 - i), total * memory * f * (1 - f), total * i * (1 - g**2), of_h * bent * o * (1 - o))
    sums = np.stack(sums)
    return sums, sums, sums, 0, total * f


def _gru(of_x, of_h, bias, h, memory):
    r, z = (_sigmoid(of_x[1 + k] + of_h[k] + bias[1 + k]) for k in (0, 1))
    m = of_h[2] + bias[3]
    n = np.tanh(of_x[0] + bias[0] + r * m)
    return (1 - z) * n + z * h, memory, (n, r, z, m)


def _gru_back(of_h, of_memory, gates, h, memory, memory_after):
    n, r, z, m = gates
    of_n = of_h * (1 - z) * (1 - n**2)
    sums = np.stack([of_n, of_n * m * r * (1 - r), of_h * (h - n) * z * (1 - z), of_n * r])
    return sums[:3], sums[1:], sums, of_h * z, of_memory


def _simple(of_x, of_h, bias, h, memory):
    after = np.tanh(of_x[0] + of_h[0] + bias[0])
    return after, memory, after


def _simple_back(of_h, of_memory, gates, h, memory, memory_after):
    sums = (of_h * (1 - gates**2))[None]
    return sums, sums, sums, 0, of_memory


CELLS = {"lstm": (_lstm, _lstm_back), "gru": (_gru, _gru_back), "simple": (_simple, _simple_back)}
