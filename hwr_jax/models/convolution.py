"""Two-dimensional convolution as patches + matrix product, a drop-in for `jax.lax.conv_general_dilated`.

Why it exists: XLA on CPU runs the gradients of its own convolution up to 15 times slower inside a loop than outside
(jax issue 12868), and the training steps are a loop. A matrix product keeps its speed there. `kernels/` has a faster
one, which needs a C++ compiler. On a GPU, networks as small as ours train faster with patches, too
(docs/performance.md); on a TPU XLA's own (`native`) is used.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from hwr_jax.models import product
from hwr_jax.models.kernels import calls
from hwr_jax.models.kernels import convolution as compiled

NHWC = compiled.NHWC


def patches(image: jax.Array, size: tuple[int, int], strides: tuple[int, int] = (1, 1)) -> jax.Array:
    """Cuts every window of `size` out of an image ("im2col", Chellapilla et al. 2006).

    Args:
      image: [B, H, W, C].
      size: window height and width, pixels.
      strides: step between windows, pixels.

    Returns:
      [B, H', W', size[0] * size[1] * C], the windows flattened row by row.
    """
    height = (image.shape[1] - size[0]) // strides[0] + 1
    width = (image.shape[2] - size[1]) // strides[1] + 1
    windows = [
        image[:, i : i + strides[0] * (height - 1) + 1 : strides[0], j : j + strides[1] * (width - 1) + 1 : strides[1]]
        for i in range(size[0])
        for j in range(size[1])
    ]
    return jnp.concatenate(windows, axis=-1)


def conv_as_matmul(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides,
    padding,
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    precision=None,
) -> jax.Array:
    """Convolves lhs [B, H, W, C] with rhs [h, w, C, F] to [B, H', W', F]; same arguments as `conv_general_dilated`.

    Raises:
      NotImplementedError: for dilation, groups or a layout other than NHWC/HWIO (use `native` there).
    """
    dilations = (*(lhs_dilation or (1,)), *(rhs_dilation or (1,)))
    compiled.check_plain("conv_as_matmul", lhs, rhs, dilations, dimension_numbers, feature_group_count)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    if any(p for pair in padding for p in pair):
        lhs = jnp.pad(lhs, ((0, 0), *padding, (0, 0)))
    rows = patches(lhs, (rhs.shape[0], rhs.shape[1]), tuple(window_strides))
    kernel = rhs.reshape(-1, rhs.shape[-1])
    out = product.matmul(rows.reshape(-1, rows.shape[-1]), kernel, precision)
    return out.reshape(*rows.shape[:3], rhs.shape[-1])


CONVOLUTIONS = {"native": lax.conv_general_dilated, "patches": conv_as_matmul, "compiled": compiled.convolve}
CHOICES = ("auto", "plain")  # the fastest; the fastest without kernels of our own


def chosen(name: str, *, train: bool, precision: str = "float32") -> str:
    """Returns which convolution `name` stands for here: for 'auto' the fastest that this machine has.

    On CPU that is 'compiled', in float32 and where the kernel can be built; else it is the same as 'plain': 'patches'
    to train, because there XLA's gradients are slow, and XLA's own, 'native', to evaluate. On GPU both are like
    'plain', on TPU 'native'.

    A run that was trained with 'compiled' is evaluated with 'native' where there is no such kernel.

    Raises:
      ConfigError: 'compiled' to train, and this machine has no such kernel; the sentence says why.
    """
    if name in CHOICES:
        if name == "auto" and calls.fit(precision):
            return "compiled"
        return "patches" if train and jax.default_backend() in ("cpu", "gpu") else "native"
    if name == "compiled" and not calls.available():
        if not train:
            return "native"
        raise calls.refusal("convolution", "auto, patches or native")
    return name


def by_name(name: str, *, train: bool, precision: str = "float32") -> Callable:
    """Returns the convolution that `name` stands for: see `chosen`."""
    return CONVOLUTIONS[chosen(name, train=train, precision=precision)]
