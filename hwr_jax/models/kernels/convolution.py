"""The compiled convolution as a JAX function, with its gradients, over any number of devices.

Same arguments as `jax.lax.conv_general_dilated`. The kernel computes 3x3 kernels of stride 1 by Winograd's
F(2x2, 3x3) (Lavin & Gray 2016), or F(4x4, 3x3) where that needs clearly fewer products, and all others by the plain
sum, without copies of the windows; its sums have one order for any number of threads and any width of the processor's
vectors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hwr_jax.models.kernels import calls

FORWARD, IMAGE_GRADIENT, KERNEL_GRADIENT = range(3)
NHWC = ("NHWC", "HWIO", "NHWC")
Pads = tuple[tuple[int, int], tuple[int, int]]


def check_plain(who: str, lhs: jax.Array, rhs: jax.Array, dilations: tuple, dimension_numbers, groups: int) -> None:
    """Raises NotImplementedError, in the name of `who`, for dilation, groups, or shapes other than lhs [B, H, W, C] and
    rhs [h, w, C, features]."""
    layout = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    same_layout = layout == lax.conv_dimension_numbers(lhs.shape, rhs.shape, NHWC)
    if not same_layout or any(d != 1 for d in (*dilations, groups)):
        raise NotImplementedError(
            f"{who} supports neither dilation nor groups, and takes only NHWC images and HWIO kernels"
        )


def convolve(
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
    """Convolves lhs [B, H, W, C] with rhs [h, w, C, F] to [B, H', W', F], all float32.

    Forward-mode derivatives (`jax.jvp`) are not defined. `precision` has no meaning here: float32 is float32.

    Raises:
      NotImplementedError: for dilation, groups, a layout other than NHWC/HWIO or another dtype.
      RuntimeError: this machine cannot build the kernel (see `calls.available`).
    """
    dilations = (*(lhs_dilation or (1,)), *(rhs_dilation or (1,)))
    check_plain("the compiled convolution", lhs, rhs, dilations, dimension_numbers, feature_group_count)
    if lhs.dtype != jnp.float32 or rhs.dtype != jnp.float32:
        raise NotImplementedError(f"the compiled convolution takes float32, not {lhs.dtype} and {rhs.dtype}")
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    strides = tuple(int(s) for s in window_strides)
    pads = tuple((int(before), int(after)) for before, after in padding)
    shape = _shape(lhs, rhs, strides, pads)
    if 0 in (*lhs.shape, *rhs.shape, *shape):
        return jnp.zeros(shape, jnp.float32)
    beyond = (before + stride > side for (before, _), stride, side in zip(pads, strides, rhs.shape, strict=False))
    if any(beyond) or any(p < 0 for pair in pads for p in pair):  # the kernel's own loops do not reach that far
        lhs = lax.pad(lhs, jnp.float32(0), ((0, 0, 0), *((*pair, 0) for pair in pads), (0, 0, 0)))
        pads = ((0, 0), (0, 0))
    return _convolve(lhs, rhs, strides, pads)


def _shape(image: jax.Array, kernel: jax.Array, strides: tuple[int, ...], pads: tuple) -> tuple[int, ...]:
    """Returns the shape of the result, [B, H', W', F]."""
    sizes = zip(image.shape[1:3], kernel.shape, strides, pads, strict=False)
    out = (max(0, (side + sum(pad) - taps) // stride + 1) for side, taps, stride, pad in sizes)
    return image.shape[0], *out, kernel.shape[3]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(image: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
    return _call(FORWARD, image, kernel, _shape(image, kernel, strides, pads), strides, pads)


def _forward(image, kernel, strides, pads):
    return _convolve(image, kernel, strides, pads), (image, kernel)


def _backward(strides, pads, kept, gradient):
    image, kernel = kept
    of_image = _call(IMAGE_GRADIENT, kernel, gradient, image.shape, strides, pads)
    of_kernel = _call(KERNEL_GRADIENT, image, gradient, kernel.shape, strides, pads)
    return of_image, of_kernel


_convolve.defvjp(_forward, _backward)


def of_pixels(image: jax.Array, gradient: jax.Array) -> jax.Array:
    """Returns the gradient of a kernel of one pixel, [C, F]: the sum over B images of P pixels of what each has in its
    C channels times its gradient; float32 [B, P, C], [B, P, F] -> [C, F]."""
    shape = (1, 1, image.shape[-1], gradient.shape[-1])
    return _call(KERNEL_GRADIENT, image[:, None], gradient[:, None], shape, (1, 1), ((0, 0), (0, 0)))[0, 0]


def _call(what: int, left: jax.Array, right: jax.Array, shape: tuple[int, ...], strides, pads: Pads) -> jax.Array:
    run = _kernel(what, tuple(shape), strides, (pads[0][0], pads[1][0]))
    return run(left[None], right[None])[0][0]


RULES = {  # S is the axis over independent convolutions (seeds)
    FORWARD: "s b h w c, s k l c f -> s b i j f",
    IMAGE_GRADIENT: "s k l c f, s b i j f -> s b h w c",
    KERNEL_GRADIENT: "s b h w c, s b i j f -> s k l c f",
}
BATCHED = {FORWARD: (True, False, True), IMAGE_GRADIENT: (False, True, True), KERNEL_GRADIENT: (True, True, False)}


@functools.cache
def _kernel(what: int, shape: tuple[int, ...], strides: tuple[int, int], pads: tuple[int, int]) -> Callable:
    """Returns the kernel as a function of left and right [S, ...] -> ([S, ...],)."""
    *arguments, result = BATCHED[what]

    def call(left: jax.Array, right: jax.Array) -> tuple[jax.Array]:
        out = list(shape)
        if result:
            out[0] = (left if arguments[0] else right).shape[1]  # the batch may be a part of one
        output = jax.ShapeDtypeStruct((left.shape[0], *out), jnp.float32)
        attributes = {"stride": np.array(strides, np.int64), "padding": np.array(pads, np.int64)}
        return (jax.ffi.ffi_call(calls.CONVOLUTION, output)(left, right, what=np.int64(what), **attributes),)

    return calls.spread(call, RULES[what], tuple(arguments), (result,))


def flops(equation: Any) -> int:
    """Returns the floating-point operations of an equation of a jaxpr, if it calls the kernel; of any other, 0.

    They are those of the plain sum, without the products with zeros around the image, as XLA counts its own
    convolution: two for each product. Winograd's are fewer.
    """
    if equation.primitive.name != "ffi_call" or equation.params["target_name"] != calls.CONVOLUTION:
        return 0
    given = dict(equation.params["attributes"])
    what, strides, pads = (np.asarray(_plain(given[key])) for key in ("what", "stride", "padding"))
    left, right, out = (v.aval.shape for v in (*equation.invars, *equation.outvars))
    image, kernel, result = ((left, right, out), (out, left, right), (left, out, right))[int(what)]
    products = image[0] * image[1] * kernel[3] * kernel[4]
    for axis in (0, 1):
        inside = strides[axis] * np.arange(result[2 + axis])[:, None] + np.arange(kernel[1 + axis]) - pads[axis]
        products *= int(np.sum((inside >= 0) & (inside < image[2 + axis])))
    return 2 * products


def _plain(value: Any) -> Any:
    """An attribute of a call as JAX hands it on, or inside a wrapper that can be hashed."""
    return getattr(value, "val", value)
