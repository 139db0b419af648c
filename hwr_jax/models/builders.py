"""From `config.model` to a network: what each name reads of it, and which values fit each other and the pictures.

A builder takes (config.model, classes K, (H, W) of the pictures) and returns a function (axis_name, train) -> module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwr_jax.core.errors import ConfigError
from hwr_jax.models import convolution, layers
from hwr_jax.models.cnn import CNN
from hwr_jax.models.crnn import CRNN
from hwr_jax.models.lenet import LeNet
from hwr_jax.models.mlp import MLP
from hwr_jax.models.resnet import ResNet
from hwr_jax.models.rnn import RNN
from hwr_jax.models.vit import ViT


def _cnn(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    _check_sizes(config, shape_px)
    return lambda axis_name, train: CNN(
        features=tuple(config.features),
        kernels_px=tuple(config.kernels_px),
        strides_px=tuple(config.strides_px),
        pools=tuple(config.pools),
        padding=config.padding,
        dense=config.dense,
        **_convolutional(config, classes, axis_name, train),
    )


def _check_sizes(config: Any, shape_px: tuple[int, int]) -> None:
    features = tuple(config.features)
    per_layer = {key: tuple(config[key]) for key in ("kernels_px", "strides_px", "pools")}
    for key, values in per_layer.items():
        if len(values) != len(features):
            raise ConfigError(
                f"config.model.features={features} and config.model.{key}={values} must have the same length: "
                "one value for each convolution"
            )
    kernels, strides, pools = per_layer.values()
    if not all(isinstance(v, int) and v > 0 for v in (*features, *kernels, *strides)):
        raise ConfigError(
            "config.model.features, config.model.kernels_px and config.model.strides_px must be positive integers, "
            f"not {features}, {kernels} and {strides}"
        )
    if not all(isinstance(v, bool) for v in pools):
        raise ConfigError(f"config.model.pools={pools} is not possible: use True or False for each convolution")
    side_px = min(shape_px)
    for size, stride, pool in zip(kernels, strides, pools, strict=True):
        side_px = -(-side_px // stride) if config.padding == "same" else (side_px - size) // stride + 1
        side_px = side_px // 2 if pool else side_px
    if side_px < 1:
        raise ConfigError(
            f"config.model.kernels_px={kernels} leaves nothing of a {_words(shape_px)} image: use fewer or smaller "
            "ones, or less pooling"
        )


def _shared(config: Any, classes: int) -> dict[str, Any]:
    """What every network takes."""
    return {
        "classes": classes,
        "kernel_init": layers.INITIALIZERS[config.initializer],
        "dtype": layers.PRECISIONS[config.precision],
    }


def _convolutional(config: Any, classes: int, axis_name: str | None, train: bool) -> dict[str, Any]:
    """What the convolutional networks with norms and dropout take."""
    return {
        "dropout": config.dropout,
        "norm": config.norm,
        "activation": layers.ACTIVATIONS[config.activation],
        "convolution": convolution.by_name(config.convolution, train=train),
        "axis_name": axis_name,
        **_shared(config, classes),
    }


def _mlp(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    _check_widths("hidden", config.hidden)
    return lambda axis_name, train: MLP(
        hidden=tuple(config.hidden),
        dropout=config.dropout,
        norm=config.norm,
        activation=layers.ACTIVATIONS[config.activation],
        axis_name=axis_name,
        **_shared(config, classes),
    )


def _scratch(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    """The twin of the network that `scratch` computes: its first weights, and its use outside of training."""
    _check_widths("hidden", config.hidden)
    return lambda axis_name, train: MLP(
        hidden=tuple(config.hidden),
        dropout=config.dropout,
        norm="none",
        activation=layers.ACTIVATIONS[config.activation],
        classes=classes,
        kernel_init=layers.INITIALIZERS[config.initializer],
    )


def _lenet(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    if min(shape_px) < 12:
        raise ConfigError(f"config.frame leaves {_words(shape_px)} pixels, and lenet needs 12x12 or more")
    return lambda axis_name, train: LeNet(
        activation=layers.ACTIVATIONS[config.activation],
        convolution=convolution.by_name(config.convolution, train=train),
        **_shared(config, classes),
    )


def _resnet(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    _check_widths("features", config.features)
    if not config.features:
        raise ConfigError("config.model.features=() is not possible: a resnet has one stage or more")
    return lambda axis_name, train: ResNet(
        features=tuple(config.features),
        blocks=config.blocks,
        stride=config.stride_px,
        **_convolutional(config, classes, axis_name, train),
    )


def _rnn(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    return lambda axis_name, train: RNN(
        cell=config.cell,
        width=config.width,
        layers=config.layers,
        bidirectional=config.bidirectional,
        dropout=config.dropout,
        axis_name=axis_name,
        **_shared(config, classes),
    )


def _vit(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    if any(side % config.patch_px for side in shape_px):
        raise ConfigError(
            f"config.model.patch_px={config.patch_px} is not possible: use a divisor of both sides, {_words(shape_px)}"
        )
    if config.width % config.heads:
        raise ConfigError(
            f"config.model.heads={config.heads} does not divide config.model.width={config.width}: use a divisor of it"
        )
    return lambda axis_name, train: ViT(
        patch_px=config.patch_px,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        dropout=config.dropout,
        activation=layers.ACTIVATIONS[config.activation],
        axis_name=axis_name,
        **_shared(config, classes),
    )


def _crnn(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable:
    _check_widths("features", config.features)
    _check_widths("kernels_px", config.kernels_px)
    if not len(config.features) == len(config.kernels_px) > 0:
        raise ConfigError(
            f"config.model.features={tuple(config.features)} and config.model.kernels_px={tuple(config.kernels_px)} "
            "must have the same length, 1 or more: one value for each convolution"
        )
    height, width = shape_px
    if height < 2 ** len(config.features):
        raise ConfigError(f"config.model.features={tuple(config.features)}: each halves the height, which is {height}")
    column = config.column_px
    if column not in (2**i for i in range(len(config.features) + 1)) or width % column:
        raise ConfigError(
            f"config.model.column_px={column} is not possible: use a power of 2 up to 2 to the number of convolutions, "
            f"and a divisor of the width, {width}"
        )
    return lambda axis_name, train: CRNN(
        features=tuple(config.features),
        kernels_px=tuple(config.kernels_px),
        column_px=column,
        dense=config.dense,
        cell=config.cell,
        width=config.width,
        layers=config.layers,
        bidirectional=config.bidirectional,
        **_convolutional(config, classes, axis_name, train),
    )


def _words(shape_px: tuple[int, int]) -> str:
    return "x".join(map(str, shape_px))


def _check_widths(key: str, widths: Any) -> None:
    if not all(isinstance(w, int) and w > 0 for w in widths):
        raise ConfigError(f"config.model.{key}={tuple(widths)} is not possible: use positive integers")


MODELS = {
    **{"mlp": _mlp, "scratch": _scratch, "cnn": _cnn, "lenet": _lenet, "resnet": _resnet, "rnn": _rnn, "vit": _vit},
    "crnn": _crnn,
}
READERS = ("crnn",)  # of strings; the others name one class
