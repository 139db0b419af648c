"""A multilayer perceptron from scratch: forward, backward and optimisers by hand, in NumPy alone. For reading.

Everything that the other networks leave to libraries stands here once, in the open. The loop around it (order of the
examples, evaluation, run folder) is that of every other network. Parameters are {"Dense_0": {"kernel": [I, O], "bias":
[O]}, ...}, the same as those of `mlp.MLP`, its twin in Flax, so that the two can be compared step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Tree
from hwr_jax.models import arguments, layers
from hwr_jax.models.mlp import MLP
from hwr_jax.transforms.augment import SHAPES

Layer = dict[str, np.ndarray]

# name -> (function of z, derivative as a function of (z, function(z)))
ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(z.dtype)),
    "tanh": (np.tanh, lambda z, a: 1 - a**2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
}
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")


class Settings(NamedTuple):
    """The settings of a step, from `config.optim`, `config.model` and `config.loss`."""

    activation: str
    dropout: float
    label_smoothing: float
    optimizer: str
    momentum: float
    b1: float
    b2: float
    eps: float
    weight_decay: float
    l1: float
    l2: float


def build(config: Any, classes: int, shape_px: tuple[int, int]) -> Callable[[str | None, bool], MLP]:
    """Returns (axis_name, train) -> the twin, for the first weights and for all uses outside of training.

    Raises:
      ConfigError: a width that is not a positive integer.
    """
    arguments.check_widths("hidden", config.hidden)
    return lambda axis_name, train: MLP(
        hidden=tuple(config.hidden),
        dropout=config.dropout,
        norm="none",
        activation=layers.ACTIVATIONS[config.activation],
        classes=classes,
        kernel_init=layers.INITIALIZERS[config.initializer],
    )


def settings(config: Any) -> Settings:
    """Returns the settings that a whole config asks for. Raises ConfigError for what this network does not have."""
    # As a plain dict, so that `steps.overrides` does not count every key as read: make_optimizer tells which are used.
    config = config.to_dict()
    optim, model = config["optim"], config["model"]
    for key, value, allowed in (
        ("optim.name", optim["name"], OPTIMIZERS),
        ("model.activation", model["activation"], tuple(ACTIVATIONS)),
        ("optim.clip_norm", optim["clip_norm"], (0.0,)),
        ("optim.accumulate", optim["accumulate"], (1,)),
        ("optim.gradient_norm", optim.get("gradient_norm", False), (False,)),
        ("average.name", config["average"]["name"], ("none",)),
        ("loss.class_weights", config["loss"].get("class_weights", "none"), ("none",)),
        ("eval.patience_epochs", config["eval"]["patience_epochs"], (0,)),
        ("eval.shift_px", config["eval"]["shift_px"], (0,)),
        ("nonfinite.policy", config["nonfinite"]["policy"], ("halt",)),
        ("data.stream", config["data"]["stream"], (False,)),
        ("init_from", config["init_from"], ("",)),
        *((f"augment.{k}", v, (0,)) for k, v in config["augment"].items() if k not in SHAPES),
        *((f"frame.{k}", v, (0,)) for k, v in config["frame"].items()),
    ):
        if value not in allowed:
            raise ConfigError(
                f"config.{key}={value} is not in the network from scratch: use {', '.join(map(repr, allowed))}"
            )
    return Settings(
        activation=model["activation"],
        dropout=model["dropout"],
        label_smoothing=config["loss"]["label_smoothing"],
        optimizer=optim["name"],
        **{name: optim[name] for name in ("momentum", "b1", "b2", "eps", "weight_decay", "l1", "l2")},
    )


def layers_of(params: Tree) -> list[str]:
    """Returns the names of the layers, from the image to the scores."""
    return sorted(params, key=lambda name: int(name.removeprefix(layers.DENSE)))


def one_hot(label: np.ndarray, classes: int, *, smoothing: float, dtype: np.dtype) -> np.ndarray:
    """Returns the targets [B, K]: 1 for the label, else 0, with the share `smoothing` spread over all classes."""
    target = np.zeros((len(label), classes), dtype)
    target[np.arange(len(label)), label] = 1
    return target * (1 - smoothing) + smoothing / classes


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities [B, K]; subtracts the largest score first, so that no exponential overflows."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns -sum(target * log softmax(logits)), nats [B]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (target * (np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted)).sum(axis=1)


def forward(params: Tree, x: np.ndarray, activation: str, masks: list[np.ndarray] | None = None) -> list[tuple]:
    """Computes the network, and keeps what `backward` needs.

    Args:
      params: see the module.
      x: pixels [B, D], standardised.
      activation: of the hidden layers.
      masks: of dropout after each hidden layer [B, width], 0 or 1 / (1 - rate); None in evaluation.

    Returns:
      Per layer (input, sum z, activation before dropout); z of the last layer are the scores [B, K].
    """
    function, _ = ACTIVATIONS[activation]
    names, trace = layers_of(params), []
    for i, name in enumerate(names):
        z = x @ params[name]["kernel"] + params[name]["bias"]
        a = z if i == len(names) - 1 else function(z)
        trace.append((x, z, a))
        x = a if masks is None or i == len(names) - 1 else a * masks[i]
    return trace


def backward(
    params: Tree, trace: list[tuple], target: np.ndarray, activation: str, masks: list[np.ndarray] | None = None
) -> Tree:
    """Returns the gradient of the mean cross-entropy, layer by layer from the scores back (Rumelhart et al. 1986)."""
    _, derivative = ACTIVATIONS[activation]
    names, grads = layers_of(params), {}
    delta = (softmax(trace[-1][1]) - target) / len(target)  # d loss / d z: softmax and cross-entropy in one
    for i in reversed(range(len(names))):
        x, _, _ = trace[i]
        grads[names[i]] = {"kernel": x.T @ delta, "bias": delta.sum(axis=0)}
        if i:
            _, z, a = trace[i - 1]
            delta = delta @ params[names[i]]["kernel"].T
            if masks is not None:
                delta = delta * masks[i - 1]
            delta = delta * derivative(z, a)
    return grads


def zero_moments(params: Tree) -> Tree:
    """Returns the optimisers' initial moments: {"mean", "square"}, each with the structure of the parameters."""
    return {
        moment: {name: {key: 0 * value for key, value in layer.items()} for name, layer in params.items()}
        for moment in ("mean", "square")
    }


def update(
    params: Tree, moments: Tree, grads: Tree, *, step: int, rate: float, settings: Settings
) -> tuple[Tree, Tree]:
    """Does one step of the optimiser; returns the new parameters and moments.

    Penalties and decay act on kernels only. `step` counts from 0.
    """
    new_params, new_moments = {}, {"mean": {}, "square": {}}
    for name, layer in params.items():
        new_params[name], new_moments["mean"][name], new_moments["square"][name] = {}, {}, {}
        for key, w in layer.items():
            g = grads[name][key]
            if key == "kernel":
                g = g + settings.l1 * np.sign(w) + settings.l2 * w
            mean, square = moments["mean"][name][key], moments["square"][name][key]
            direction, mean, square = _direction(g, mean, square, step, settings)
            if key == "kernel":
                direction = direction + settings.weight_decay * w
            new_params[name][key] = w - np.asarray(rate, w.dtype) * direction
            new_moments["mean"][name][key], new_moments["square"][name][key] = mean, square
    return new_params, new_moments


def _direction(
    g: np.ndarray, mean: np.ndarray, square: np.ndarray, step: int, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the direction of an optimiser, and its new moments."""
    if settings.optimizer == "sgd":
        return g, mean, square
    if settings.optimizer in ("momentum", "nesterov"):
        mean = g + settings.momentum * mean
        return (g + settings.momentum * mean if settings.optimizer == "nesterov" else mean), mean, square
    square = settings.b2 * square + (1 - settings.b2) * g**2
    if settings.optimizer == "rmsprop":
        return g / np.sqrt(square + settings.eps), mean, square
    mean = settings.b1 * mean + (1 - settings.b1) * g
    unbiased = mean / (1 - settings.b1 ** (step + 1)), square / (1 - settings.b2 ** (step + 1))
    return unbiased[0] / (np.sqrt(unbiased[1]) + settings.eps), mean, square


def dropout_masks(params: Tree, batch: int, *, rate: float, seed: tuple[int, int], dtype: np.dtype) -> list | None:
    """Draws the masks of a step (`seed`: of the run and of the step) for each hidden layer; None at rate 0."""
    if not rate:
        return None
    generator = np.random.default_rng(seed)
    widths = [params[name]["bias"].size for name in layers_of(params)[:-1]]
    return [(generator.random((batch, width)) >= rate).astype(dtype) / (1 - rate) for width in widths]


def train_step(
    params: Tree,
    moments: Tree,
    x: np.ndarray,
    label: np.ndarray,
    *,
    seed: int,
    step: int,
    rate: float,
    settings: Settings,
) -> tuple[Tree, Tree, np.ndarray, int]:
    """Does one step of training on pixels x [B, D] and labels [B].

    Returns:
      Parameters, moments, the losses [B] in nats and the number of hits, both from before the update.
    """
    classes = params[layers_of(params)[-1]]["bias"].size
    masks = dropout_masks(params, len(x), rate=settings.dropout, seed=(seed, step), dtype=x.dtype)
    target = one_hot(label, classes, smoothing=settings.label_smoothing, dtype=x.dtype)
    trace = forward(params, x, settings.activation, masks)
    grads = backward(params, trace, target, settings.activation, masks)
    logits = trace[-1][1]
    params, moments = update(params, moments, grads, step=step, rate=rate, settings=settings)
    return params, moments, cross_entropy(logits, target), int(np.sum(logits.argmax(axis=1) == label))
