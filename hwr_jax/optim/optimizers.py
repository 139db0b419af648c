"""Optimisers by name, from optax. Owns the order in which their parts are chained.

    gradient -> clip -> + L1 and coupled L2 -> direction of the optimiser -> + decoupled weight decay
        -> trust ratio of each layer (lamb) -> times -rate

Penalties and decay act on kernels only, not on biases, normalisation and positions. A new optimiser is a function that
returns its direction, and a row of OPTIMIZERS: config/check.py takes the allowed names from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from optax import contrib

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Tree


def _muon(config: Any) -> optax.GradientTransformation:
    """Muon for the kernels (all axes but the last are inputs), Adam with Nesterov's momentum for the rest. A kernel's
    update has the size of Adam's (0.2 root mean square, Liu et al. 2025), so that one learning rate fits both."""

    def axes(params):
        return jax.tree.map(
            lambda p, is_kernel: (
                contrib.MuonDimensionNumbers(tuple(range(p.ndim - 1)), p.ndim - 1) if is_kernel else None
            ),
            params,
            kernels(params),
        )

    whole = contrib.muon(
        1.0,
        beta=config.momentum,
        eps=config.eps,
        adam_b1=config.b1,
        adam_b2=config.b2,
        muon_weight_dimension_numbers=axes,
        consistent_rms=0.2,
    )
    return optax.chain(whole, optax.scale(-1.0))  # undoes Muon's own minus sign: the chain subtracts at its end


def _adam(config: Any) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps)


OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {  # name -> function of config.optim
    "sgd": lambda config: optax.identity(),
    "momentum": lambda config: optax.trace(decay=config.momentum),  # Polyak 1964
    # Nesterov 1983, Sutskever et al. 2013
    "nesterov": lambda config: optax.trace(decay=config.momentum, nesterov=True),
    "rmsprop": lambda config: optax.scale_by_rms(decay=config.b2, eps=config.eps),  # Tieleman & Hinton 2012
    "adagrad": lambda config: optax.scale_by_rss(initial_accumulator_value=0.0, eps=config.eps),  # Duchi et al. 2011
    "adadelta": lambda config: optax.scale_by_adadelta(rho=config.b2, eps=config.eps),  # Zeiler 2012
    "adam": _adam,  # Kingma & Ba 2015
    "adamw": _adam,  # Loshchilov & Hutter 2019
    "lamb": _adam,  # You et al. 2020
    "lion": lambda config: optax.scale_by_lion(b1=config.b1, b2=config.b2),  # Chen et al. 2023
    "muon": _muon,  # Jordan et al. 2024
}


def by_layer(optimizer: optax.GradientTransformation, factors: dict[str, float]) -> optax.GradientTransformation:
    """Multiplies the updates of each layer (a key of the parameters) by its factor; 0 freezes the layer."""

    def update(updates, params):
        del params
        return {name: jax.tree.map(lambda u, f=factors[name]: f * u, tree) for name, tree in updates.items()}

    return optax.chain(optimizer, optax.stateless(update))


def kernels(params: Tree) -> Tree:
    """Returns a tree of bool: which parameters are kernels, judged by their name."""
    return jax.tree_util.tree_map_with_path(lambda path, _: getattr(path[-1], "key", None) == "kernel", params)


def add_l1(strength: float) -> optax.GradientTransformation:
    """Adds the subgradient of strength * |w|: strength * sign(w), 0 at 0."""

    def update(updates, params):
        return jax.tree.map(lambda g, p: g + strength * jnp.sign(p), updates, params)

    return optax.stateless(update)


def scalars(config: Any) -> dict[str, float]:
    """Returns the numbers of `config.optim` that may change without another compilation: the learning rate, and the
    penalties that are not zero."""
    penalties = {name: getattr(config, name) for name in ("weight_decay", "l2", "l1") if getattr(config, name)}
    return {"learning_rate": config.learning_rate, **penalties}


def with_scalars(opt_state: Tree, values: dict[str, Any]) -> Tree:
    """Returns the state of an optimiser made with `injected` with other scalars (float32, of the state's shape)."""
    return optax.tree_utils.tree_set(opt_state, **values)


def at_step(opt_state: Tree, step: jax.Array) -> Tree:
    """Returns the state of an optimiser with its schedule at `step` int32 []; its moments still count their updates."""

    def put(part: Any) -> Any:
        return part._replace(count=step) if isinstance(part, optax.ScaleByScheduleState) else part

    return jax.tree.map(put, opt_state, is_leaf=lambda part: isinstance(part, optax.ScaleByScheduleState))


def make_optimizer(config: Any, schedule: optax.Schedule, *, injected: bool = False) -> optax.GradientTransformation:
    """Makes the gradient transformation that `config.optim` describes.

    Args:
      config: `config.optim`, validated.
      schedule: step -> share of `config.learning_rate`.
      injected: the `scalars` are part of the state, where `with_scalars` changes them. The results have the same bits
        either way: scalars from the config are hidden from the compiler, which would otherwise fold them.

    Raises:
      ConfigError: decoupled weight decay with `adam`, which is called adamw.

    >>> from hwr_jax.config import configs
    >>> config = configs.load("mlp", {"optim.name": "sgd", "optim.learning_rate": 0.1, "optim.weight_decay": 0.0})
    >>> optimizer = make_optimizer(config.optim, lambda step: 1.0)
    >>> weights = jnp.array([1.0, -2.0])
    >>> updates, _ = optimizer.update(jnp.array([3.0, 1.0]), optimizer.init(weights), weights)
    >>> [round(float(update), 3) for update in updates]
    [-0.3, -0.1]
    """
    if config.name == "adam" and config.weight_decay:
        raise ConfigError(
            f"config.optim.weight_decay={config.weight_decay} is decoupled decay, which with config.optim.name=adam is "
            "called adamw: use adamw, or config.optim.l2 for the coupled penalty"
        )
    direction, values = OPTIMIZERS[config.name](config), scalars(config)

    def chain(learning_rate, weight_decay=None, l2=None, l1=None):
        parts = []
        if config.clip_norm:
            parts.append(optax.clip_by_global_norm(config.clip_norm))
        if l1 is not None:
            parts.append(optax.masked(add_l1(l1), kernels))
        if l2 is not None:
            parts.append(optax.add_decayed_weights(l2, mask=kernels))
        parts.append(direction)
        if weight_decay is not None:
            parts.append(optax.add_decayed_weights(weight_decay, mask=kernels))
        if config.name == "lamb":
            parts.append(optax.scale_by_trust_ratio())
        return optax.chain(*parts, optax.scale_by_learning_rate(lambda step: learning_rate * schedule(step)))

    if injected:
        return optax.inject_hyperparams(chain, hyperparam_dtype=jnp.float32)(**values)

    def update(updates, state, params=None):
        hidden = lax.optimization_barrier({name: jnp.float32(value) for name, value in values.items()})
        return chain(**hidden).update(updates, state, params)

    return optax.GradientTransformation(chain(**values).init, update)
